"""Every name of asyncpg and databases that is not public, and every trait of theirs that the pool leans on.

`tests/core/database/test_driver.py` fails when an upgrade changes one of them.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import databases

from app.core.database.rows import Value

# asyncpg brings no types; these names say what is meant.
RawConnection = Any
RawPool = Any


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
    if not holder.is_connected() or holder._generation != pool._generation:  # noqa: SLF001
        free.put_nowait(holder)
        return None
    return await holder.acquire()


async def give_back(pool: RawPool, raw: RawConnection, *, within: float) -> None:
    """As `release`, but without a task of its own where there is nothing to be waited for, and so nothing to shield."""
    if is_gone(raw) or not _is_clean(raw):
        await pool.release(raw, timeout=within)
        return
    raw._con._on_release()  # noqa: SLF001
    await raw._holder.release(within)  # noqa: SLF001


def _is_clean(raw: RawConnection) -> bool:
    """Whether it can be given to the next one as it is."""
    connection, holder = raw._con, raw._holder  # noqa: SLF001
    protocol = connection._protocol  # noqa: SLF001
    if connection.has_traces or protocol.is_in_transaction() or protocol._is_cancelling():  # noqa: SLF001
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
