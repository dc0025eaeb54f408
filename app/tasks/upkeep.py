"""What some worker has to do now and then: take back the tasks of lost workers, and let ordered tasks go on."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from app.core.database import Database
from app.core.resources import Resources
from app.tasks import store
from app.tasks.floors import LeaseFloor
from app.tasks.settler import TROUBLE
from app.tasks.store import Rescued
from app.tasks.store.claiming import ALWAYS

log = structlog.get_logger(__name__)

RESCUE_EVERY = 1.0  # seconds
PROMOTE_EVERY = 5.0
SHARE = 20.0  # each comes at most after this many times its own duration,
MOST = 2.0  # and at the latest after this many of its intervals: one slow answer must not put off what is promised
BATCH = 500
# Seconds from the end of a lease: room enough to tell a task that kills from its neighbours. What is promised is to run
# again within five seconds of that end; a worker's next look for work, and its claim, need some of them.
APART = 3.0
SPREAD = 0.2  # of each pause, more or less, so that workers do not look all at once


class Upkeep:
    """Every worker does it; what one of them has locked, the others pass over. `found` is told of work to claim."""

    def __init__(self, resources: Resources, database: Database, *, found: Callable[[], None]) -> None:
        self._database = database
        self._metrics = resources.metrics.tasks
        self._max_crashes = resources.settings.worker.max_crashes
        self._found = found
        self._floor = LeaseFloor()

    async def run(self) -> None:
        """Forever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(_each(RESCUE_EVERY, self.rescue))
            both.create_task(_each(PROMOTE_EVERY, self.promote))

    async def rescue(self, *, full: bool = False) -> int:
        """Take back what lost workers held; gives how many. `full` looks at all, and has all due at once."""
        rescued = await self._rescue(ALWAYS if full else self._floor.next(), apart=0.0 if full else APART)
        if not rescued:
            return 0
        poison = [each for each in rescued if each.poison]
        for each in rescued:
            self._metrics.rescued(each.task_type, poison=each.poison)
        for each in poison:
            log.error("task_dead", task_id=str(each.id), task_type=each.task_type, error="poison")
        log.warning("tasks_rescued", tasks=len(rescued), poison=len(poison))
        await store.promote(self._database, [each.order_key for each in poison if each.order_key])
        self._found()
        return len(rescued)

    async def _rescue(self, floor: datetime, *, apart: float) -> list[Rescued]:
        now = await store.select_now(self._database)
        began = time.monotonic()
        rescued = await store.rescue(
            self._database, max_crashes=self._max_crashes, limit=BATCH, floor=floor, apart=apart
        )
        self._floor.learn(floor, now if len(rescued) < BATCH else None, seconds=time.monotonic() - began)
        return rescued

    async def promote(self) -> int:
        """Let the first of every order run, where its predecessor's worker could not; gives how many."""
        promoted = await store.promote_all(self._database)
        if promoted:
            self._found()
        return promoted


async def _each(seconds: float, act: Callable[[], Awaitable[int]]) -> None:
    while True:
        began, count = time.monotonic(), 0
        try:
            count = await act()
        except TROUBLE as error:
            log.debug("upkeep_failed", error=type(error).__name__)
            began = time.monotonic()  # an outage says nothing about how much there is to do
        took = time.monotonic() - began
        if count < BATCH:
            pause = min(max(seconds, SHARE * took), MOST * seconds)
            await asyncio.sleep(pause * random.uniform(1 - SPREAD, 1 + SPREAD))  # noqa: S311  (no secret)
