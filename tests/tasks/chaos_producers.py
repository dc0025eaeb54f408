"""Asks for tasks in many transactions at once: some are rolled back, and some fail because the database is gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from app.core.database import ConnectionTrouble, Database
from app.core.queue import Queue
from tests.tasks.chaos_feature import JOB, Job

ASKED = "INSERT INTO asked SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:effects AS boolean[]))"
TROUBLE = (ConnectionTrouble, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class ChangedItsMind(Exception):
    """A use case that fails after it has asked for work."""


@dataclass
class Producers:
    """`committed` and `rolled_back` are known to be; of a COMMIT whose answer was lost, the table `asked` knows.

    `slow` of the tasks take up to `longest` seconds, so that every lost worker was in the middle of some.
    """

    db: Database
    queue: Queue
    total: int
    seconds: float
    longest: float = 1.0
    slow: float = 0.03
    many: int = 6
    committed: set[UUID] = field(default_factory=set)
    rolled_back: set[UUID] = field(default_factory=set)
    failures: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311  (no secret)

    async def run(self, *, until: Callable[[], bool]) -> None:
        """At least `total`, and on until enough has gone wrong meanwhile."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.many):
                group.create_task(self._produce(until))

    async def _produce(self, until: Callable[[], bool]) -> None:
        while len(self.committed) < self.total or not until():
            count = self._chance.randint(1, 20)
            try:
                await self._ask(count)
            except TROUBLE:
                self.failures += 1
            await asyncio.sleep(count * self.many * self.seconds / self.total)

    async def _ask(self, count: int) -> None:
        jobs = [self._job() for _ in range(count)]
        ids: list[UUID] = []
        fails = self._chance.random() < 0.1
        with suppress(ChangedItsMind):
            async with self.db.transaction():
                for job in jobs:
                    task_id = await self.queue.enqueue(JOB, job)
                    assert task_id is not None
                    ids.append(task_id)
                await self.db.execute(ASKED, {"ids": ids, "effects": [job.effect for job in jobs]})
                if fails:
                    raise ChangedItsMind
        (self.rolled_back if fails else self.committed).update(ids)

    def _job(self) -> Job:
        seconds = self._chance.uniform(0.1, self.longest) if self._chance.random() < self.slow else 0.0
        return Job(seconds, effect=self._chance.random() < 0.5)
