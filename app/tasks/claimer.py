"""Takes tasks in batches: by priority, and each fifth time the oldest, so that a flood of urgent ones starves none."""

from __future__ import annotations

import time
from collections.abc import Collection

import asyncpg
import structlog

from app.core.database import Database
from app.tasks import store
from app.tasks.floors import Floors
from app.tasks.registry import Registry
from app.tasks.run import Run
from app.tasks.store import Claimed, Lane

log = structlog.get_logger(__name__)

OLDEST_FIRST = 5  # each so many claims
REST = 0.1  # seconds for which a type is left alone whose bound was reached
DISOWN_EVERY = 1.0  # seconds


class Claimer:
    """`held` are the runs that this worker knows of. Not for two tasks at once."""

    def __init__(
        self, database: Database, registry: Registry, held: Collection[Run], *, name: str, lease: float
    ) -> None:
        self._database = database
        self._registry = registry
        self._held = held
        self._name = name
        self._lease = lease
        self.floors = Floors()
        self.last_claim = time.monotonic()
        self._claims = 0
        self._resting: dict[str, float] = {}
        self._bounds = {
            name: each.concurrency for name, each in registry.runnables.items() if each.concurrency is not None
        }
        # A statement whose answer was lost may still be under way on the server, but no longer than it may take. The
        # doubt ends with what is disowned after that, and not while the database does not answer.
        self._doubtful_until: float | None = None
        self._disowned = 0.0

    async def claim(self, limit: int, *, full: bool = False) -> list[Run]:
        """At most `limit` runs, of what is due now; `full` looks from the beginning."""
        if full:
            self.floors.start_over()
        await self._disown()
        try:
            return await self._claim(limit)
        except asyncpg.PostgresError:  # an answer: nothing is claimed
            raise
        except BaseException:
            self._doubtful_until = time.monotonic() + self._database.settings.statement_timeout + DISOWN_EVERY
            self._disowned = 0.0
            raise

    def woken(self, task_type: str) -> None:
        """One of this type has ended, so that there is room for another one."""
        self._resting.pop(task_type, None)

    async def give_back(self) -> int:
        """Everything that is held under this worker's name and not known here; gives how many there were."""
        return len(await store.disown(self._database, worker=self._name, known=[run.id for run in self._held]))

    async def _claim(self, limit: int) -> list[Run]:
        self._claims += 1
        bounded = await self._due_types()
        was_full = not self.floors.is_slow or self.floors.is_full_due
        lanes = self._lanes(limit, bounded)
        began = time.monotonic()
        claimed = await store.claim(
            self._database,
            lanes,
            worker=self._name,
            lease=self._lease,
            limit=limit,
            oldest_first=self._claims % OLDEST_FIRST == 0,
        )
        self.last_claim = now = time.monotonic()
        self.floors.learn(claimed, seconds=now - began, was_full=was_full)
        self._rest(bounded, claimed, now)
        runnables, until = self._registry.runnables, began + self._lease
        return [Run(each, runnables[each.task_type], taken=now, until=until) for each in claimed]

    async def _due_types(self) -> set[str]:
        now = time.monotonic()
        asked = [name for name in self._bounds if self._resting.get(name, 0.0) <= now]
        return await store.select_due_types(self._database, asked) if asked else set()

    def _lanes(self, limit: int, bounded: Collection[str]) -> list[Lane]:
        return [
            Lane(name, priority, limit, self.floors.of(name, priority), self._bounds.get(name))
            for name, priority in self._registry.lanes
            if name not in self._bounds or name in bounded
        ]

    def _rest(self, bounded: Collection[str], claimed: Collection[Claimed], now: float) -> None:
        """Of a bounded type that gave nothing although something is due, as many run as may."""
        given = {each.task_type for each in claimed}
        for name in bounded:
            if name not in given:
                self._resting[name] = now + REST

    async def _disown(self) -> None:
        now = time.monotonic()
        if self._doubtful_until is None or now - self._disowned < DISOWN_EVERY:
            return
        if count := await self.give_back():
            log.info("tasks_disowned", tasks=count)
            self.floors.look_fully()
        self._disowned = now
        if now >= self._doubtful_until:
            self._doubtful_until = None
