"""Tells workers that there is something to do: after the commit, on a connection of its own, and not too often.

NOTIFY takes a lock of the whole database until its commit (stack notes, J2): inside business transactions it would
line them all up. A hint that is lost costs a worker one interval of its polling.
"""

from __future__ import annotations

import asyncio

import asyncpg
import structlog
from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.database import ConnectionTrouble, Database, Statement

log = structlog.get_logger(__name__)

CHANNEL = "plinth_queue"
INTERVAL = 0.05  # seconds; at most one NOTIFY of a process in each

# All at once: the lock is taken once for them.
NOTIFY = Statement(
    text("SELECT pg_notify(:channel, message) FROM unnest(CAST(:messages AS text[])) AS message").bindparams(
        bindparam("channel", type_=Text), bindparam("messages", type_=ARRAY(Text))
    ),
    name="notify_workers",
)


class Waker:
    """One for each process; `wake` may be called by any task and returns at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = asyncio.Event()
        self._messages: set[str] = set()

    def wake(self, message: str) -> None:
        """Have every worker told `message`, at the latest when the interval since the last one is over."""
        self._messages.add(message)
        self._asked.set()

    async def run(self) -> None:
        """Forever; a failure loses a hint and nothing else."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            messages, self._messages = self._messages, set()
            try:
                await self._database.fetch_all(NOTIFY, {"channel": CHANNEL, "messages": sorted(messages)})
            except (ConnectionTrouble, asyncpg.PostgresError) as error:
                log.debug("wake_failed", reason=str(error))
            await asyncio.sleep(INTERVAL)
