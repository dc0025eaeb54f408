"""Every name of asyncpg and databases that is not public, and every trait of theirs that the pool leans on.

`tests/core/database/test_driver.py` fails when an upgrade changes one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import databases

from app.core.database.rows import Value

# asyncpg brings no types; these names say what is meant.
RawConnection = Any
RawPool = Any
Holder = Any  # a place in the pool, with its connection or room for one


class SessionConnection(asyncpg.Connection):  # type: ignore[misc]  # no types, see above
    """Cleaned when given back only after a query that may have left something in its session.

    By default asyncpg asks the server to reset every time, which takes longer than a small query does.
    """

    __slots__ = ("has_traces",)

    def __init__(self, *args: Value, **options: Value) -> None:
        super().__init__(*args, **options)
        self.has_traces = False

    def mark(self) -> None:
        """Say that the session may have been changed: SET, LISTEN, advisory locks, temporary tables."""
        self.has_traces = True

    def get_reset_query(self) -> str:
        if not self.has_traces:
            return ""
        self.has_traces = False
        return str(super().get_reset_query())


def pool_of(database: databases.Database) -> RawPool:
    """The asyncpg pool that `databases` has opened; None while not connected."""
    return database._backend._pool  # noqa: SLF001  (databases gives no public way)


async def close_pool(database: databases.Database, *, within: float) -> None:
    """Wait up to `within` seconds for what still runs, then cut it off; the stock way would wait for ever."""
    backend = database._backend  # noqa: SLF001
    try:
        async with asyncio.timeout(within):
            await backend._pool.close()  # noqa: SLF001  (cut short, it terminates every connection)
    except TimeoutError:
        pass
    finally:
        backend._pool = None  # noqa: SLF001
        database.is_connected = False


async def take_free(pool: RawPool) -> RawConnection | None:
    """One that is open and free, at once and without the layers of `acquire`; None where it takes any waiting."""
    free = pool._queue  # noqa: SLF001
    if free.empty() or pool.is_closing():
        return None
    holder = free.get_nowait()
    if not is_open(pool, holder):
        free.put_nowait(holder)
        return None
    return await holder.acquire()


def take_holder(pool: RawPool) -> Holder | None:
    """A place in the pool, whose connection may have to be opened; None where all are taken.

    Raises `asyncpg.InterfaceError` as soon as the pool is being closed.
    """
    if pool.is_closing():
        raise closing()
    return None if pool._queue.empty() else pool._queue.get_nowait()  # noqa: SLF001


def closing() -> Exception:
    """What asyncpg says to those who come too late."""
    error: Exception = asyncpg.InterfaceError("pool is closing")
    return error


def is_open(pool: RawPool, holder: Holder) -> bool:
    """Whether acquiring it takes no waiting."""
    return bool(holder.is_connected()) and holder._generation == pool._generation  # noqa: SLF001


async def acquire(pool: RawPool, holder: Holder) -> RawConnection:
    """What the pool does with a place that it has found: one that can't be opened goes to whoever comes next."""
    try:
        return await holder.acquire()
    except BaseException:
        put_back(pool, holder)
        pool._schedule_min_size_maintenance()  # noqa: SLF001
        raise


def put_back(pool: RawPool, holder: Holder) -> None:
    """A place that was taken and not used."""
    pool._queue.put_nowait(holder)  # noqa: SLF001


def divert(pool: RawPool, offer: Callable[[Holder], bool]) -> None:
    """Offer each place that becomes free, for whatever reason, before it is put where all can take it."""
    queue = pool._queue  # noqa: SLF001
    keep = queue._put  # noqa: SLF001  (one of the three methods that asyncio's queue is made to be changed by)

    def put(holder: Holder) -> None:
        if not offer(holder):
            keep(holder)

    queue._put = put  # noqa: SLF001


def give_back(raw: RawConnection) -> bool:
    """What the pool's `release` does where there is nothing to be reset and waited for; False where there is."""
    if not _is_clean(raw):
        return False
    raw._con._on_release()  # noqa: SLF001
    holder = raw._holder  # noqa: SLF001
    holder._release()  # noqa: SLF001
    holder._setup_inactive_callback()  # noqa: SLF001
    return True


def _is_clean(raw: RawConnection) -> bool:
    """Whether it is open, and can be given to the next one as it is."""
    connection, holder = raw._con, raw._holder  # noqa: SLF001
    if connection is None or connection.is_closed() or connection.has_traces:
        return False
    protocol = connection._protocol  # noqa: SLF001
    if protocol.is_in_transaction() or protocol._is_cancelling():  # noqa: SLF001
        return False
    if connection._top_xact or connection._listeners or connection._log_listeners:  # noqa: SLF001
        return False
    used_up = protocol.queries_count >= holder._max_queries  # noqa: SLF001
    return not used_up and holder._generation == holder._pool._generation  # noqa: SLF001


def is_gone(raw: RawConnection) -> bool:
    """Whether the connection was closed, by either side, or has already been handed back."""
    try:
        return bool(raw.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool takes a closed connection back by itself and empties our handle


def drop(raw: RawConnection) -> None:
    """Cut the connection off at once; asyncpg may have done so itself, when its own cancel request got no answer."""
    if not is_gone(raw):
        raw.terminate()


def mark(raw: RawConnection) -> None:
    """Have the session cleaned when it is given back; nothing to do for one that is gone."""
    if not is_gone(raw):
        raw.mark()
