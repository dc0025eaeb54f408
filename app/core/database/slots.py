"""Hands out the pool's connections and takes every one of them back, within bounded time."""

from __future__ import annotations

import asyncio
import functools
import time

import asyncpg
import structlog

from app.core.database.driver import (
    RawConnection,
    acquire,
    closing,
    divert,
    drop,
    give_back,
    is_gone,
    is_open,
    put_back,
    take_free,
    take_holder,
)
from app.core.database.errors import AcquireTimeout
from app.core.database.line import Line
from app.core.database.stats import DatabaseObserver, PoolStats
from app.core.database.trouble import trouble

log = structlog.get_logger(__name__)

# What a stopped server may add to a request that has already met its own deadline.
SETTLE_TIMEOUT = 0.5


class Slots:
    """The accounting around asyncpg's pool, which has no deadline, no statistics and no bound on a release.

    Nobody waits inside the pool: whatever becomes free goes to the first in the line, so nobody is overtaken either.
    """

    def __init__(self, pool: object, *, timeout: float, observer: DatabaseObserver) -> None:
        """Wait at most `timeout` seconds for a connection."""
        self._pool: RawConnection = pool
        self._timeout = timeout
        self._observer = observer
        self._line = Line(timeout=timeout, put_back=functools.partial(put_back, pool))
        divert(pool, self._line.offer)
        self._waiting: dict[object, float] = {}
        self._acquired = self._timeouts = self._discarded = 0
        self._seconds = 0.0

    async def acquire(self) -> RawConnection:
        """Raises `AcquireTimeout`, or `ConnectionTrouble` where a new connection can't be opened."""
        if free := await take_free(self._pool):
            self._count(0.0)
            return free
        ticket, started = object(), time.monotonic()
        self._waiting[ticket] = started
        try:
            raw = await self._next(started)
        except Exception as error:
            raise self._failed(error) from error
        finally:
            del self._waiting[ticket]
        self._count(time.monotonic() - started)
        return raw

    async def _next(self, started: float) -> RawConnection:
        holder = take_holder(self._pool) or await self._line.wait(started)
        if is_open(self._pool, holder):
            return await holder.acquire()
        async with asyncio.timeout(self._timeout - (time.monotonic() - started)):
            return await acquire(self._pool, holder)

    def _count(self, seconds: float) -> None:
        self._acquired += 1
        self._seconds += seconds
        self._observer.acquired(seconds)

    def _failed(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            self._timeouts += 1
            stats = self.stats(opened=0)
            return AcquireTimeout(
                f"no database connection became free within {self._timeout:g} s"
                f" ({stats.in_use} of {stats.max_size} in use, {stats.waiting} waiting)"
            )
        return trouble(error, gone=True) or error

    async def release(self, raw: RawConnection) -> None:
        """Never raises for the connection's own sake: one that can't be reset in time is thrown away.

        What takes waiting is done in a task of its own, which a cancellation does not end: asyncpg's release goes on
        then too, but how it ended would be known to nobody (asyncio would log "Task exception was never retrieved").
        """
        if not give_back(raw):
            await asyncio.shield(asyncio.ensure_future(self._release(raw)))

    async def _release(self, raw: RawConnection) -> None:
        gone = is_gone(raw)
        try:
            await self._pool.release(raw, timeout=SETTLE_TIMEOUT)
        except Exception as error:  # noqa: BLE001  (the caller's result is not harmed by a connection that is lost)
            gone = True
            log.warning("connection_discarded", error=type(error).__name__)
        if gone:
            self._discarded += 1

    async def settle(self, raw: RawConnection, sql: str) -> None:
        """Roll back if the server answers at once, else drop the connection, which rolls back too."""
        if is_gone(raw):
            return
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT):
                await raw.execute(sql)
        except asyncpg.PostgresError:
            # An answer: a savepoint that was cut off before it was made can't be rolled back to.
            log.debug("not_rolled_back", sql=sql)
        except BaseException as error:
            drop(raw)
            if not isinstance(error, Exception):
                raise

    async def finish(self, raw: RawConnection, sql: str) -> None:
        """Settle and release; a cancellation in here drops the connection, but can't lose its slot."""
        try:
            await self.settle(raw, sql)
        finally:
            await self.release(raw)

    def close(self) -> None:
        """To be called before the pool is closed, which does not know of those who wait."""
        self._line.close(closing)

    def stats(self, *, opened: int) -> PoolStats:
        size, idle = self._pool.get_size(), self._pool.get_idle_size()
        oldest = next(iter(self._waiting.values()), None)
        return PoolStats(
            size=size,
            idle=idle,
            in_use=size - idle,
            waiting=len(self._waiting),
            oldest_wait=0.0 if oldest is None else time.monotonic() - oldest,
            max_size=self._pool.get_max_size(),
            acquired_total=self._acquired,
            acquire_seconds_total=self._seconds,
            acquire_timeouts_total=self._timeouts,
            opened_total=opened,
            discarded_total=self._discarded,
        )
