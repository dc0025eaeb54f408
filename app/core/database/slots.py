"""Hands out the pool's connections and takes every one of them back, within bounded time."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import structlog

from app.core.database.driver import RawConnection, drop, is_gone
from app.core.database.errors import AcquireTimeout
from app.core.database.stats import DatabaseObserver, PoolStats
from app.core.database.trouble import trouble

log = structlog.get_logger(__name__)

# What a stopped server may add to a request that has already met its own deadline.
SETTLE_TIMEOUT = 0.5


class Slots:
    """The accounting around asyncpg's pool, which has no deadline, no statistics and no bound on a release."""

    def __init__(self, pool: object, *, timeout: float, observer: DatabaseObserver) -> None:
        """Wait at most `timeout` seconds for a connection."""
        self._pool: RawConnection = pool
        self._timeout = timeout
        self._observer = observer
        self._waiting: dict[object, float] = {}
        self._acquired = self._timeouts = self._discarded = 0
        self._seconds = 0.0

    async def acquire(self) -> RawConnection:
        """Raises `AcquireTimeout`, or `ConnectionTrouble` where a new connection can't be opened."""
        ticket, started = object(), time.monotonic()
        self._waiting[ticket] = started
        try:
            async with asyncio.timeout(self._timeout):
                raw = await self._pool.acquire()
        except Exception as error:
            raise self._failed(error) from error
        finally:
            del self._waiting[ticket]
        self._count(time.monotonic() - started)
        return raw

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

        In a task of its own, which a cancellation does not end: asyncpg's release goes on then too, but how it ended
        would be known to nobody (asyncio would log "Task exception was never retrieved").
        """
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
