"""One migrator at a time: a session lock in PostgreSQL that is asked for again and again, never waited for."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import structlog

from app.core.migrations.connection import Connection
from app.core.migrations.errors import LockBusy

log = structlog.get_logger(__name__)

# The same in every release for ever: two releases with different keys would migrate at the same time.
KEY = int.from_bytes(sha256(b"plinth migrations").digest()[:8], "big", signed=True)

POLL = (0.05, 0.2)  # seconds between two tries; the spread keeps eight waiting migrators out of step

_random = secrets.SystemRandom()

HOLDER = """
SELECT pid, coalesce(nullif(application_name, ''), 'an unnamed application') AS name
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND datname = current_database() AND datid = database
  AND (classid::bigint << 32) | objid::bigint = $1 AND objsubid = 1
"""


@asynccontextmanager
async def migration_lock(connection: Connection, *, wait: float) -> AsyncIterator[None]:
    """Hold the lock while the block runs; raises `LockBusy` after `wait` seconds.

    The lock belongs to the session that also runs the revisions, so that it is lost if and only if they stop.
    A lock of the transaction would be dropped by the first revision that must commit half-way (CONCURRENTLY),
    and a migrator that sleeps inside pg_advisory_lock() holds a snapshot, for which CREATE INDEX
    CONCURRENTLY in the other one would wait: neither would ever end.
    """
    await _acquire(connection, wait)
    yield
    # After an error the session is closed, and the lock goes with it.
    await connection.execute("SELECT pg_advisory_unlock($1)", KEY)


async def _acquire(connection: Connection, wait: float) -> None:
    deadline = time.monotonic() + wait
    announced = False
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", KEY):
        holder = await _holder(connection)
        if not announced:
            log.info("waiting_for_another_migrator", holder=holder)
            announced = True
        if time.monotonic() > deadline:
            raise LockBusy(
                f"Another migrator ({holder}) has been at work for all of database.migration_wait = {wait:g} s. "
                "Look what it does, then run this again."
            )
        await asyncio.sleep(_random.uniform(*POLL))


async def _holder(connection: Connection) -> str:
    row = await connection.fetchrow(HOLDER, KEY)
    return f"pid {row['pid']}, {row['name']}" if row else "it has just ended"
