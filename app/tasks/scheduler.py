"""Enqueues what comes on time, once for each tick, on however many workers."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.core.clock import Clock, SystemClock
from app.core.resources import Resources
from app.tasks.backoff import Backoff
from app.tasks.declared import Schedule
from app.tasks.registry import Registry
from app.tasks.settler import TROUBLE
from app.tasks.shared_clock import SharedClock
from app.tasks.store.ticking import Step, advance_schedule, select_ticks

log = structlog.get_logger(__name__)

LONGEST_SLEEP = 30.0  # seconds; a clock may be set meanwhile
# A schedule that stands further in the future than this was put there by a clock that was wrong. Not less: a server
# that takes over for another may be some minutes behind it, and must not repeat what came in these minutes.
FARTHEST = timedelta(hours=1)


class Scheduler:
    """One for each worker; they need not know of each other.

    A tick is enqueued at most once, since the schedule's row moves forward in the same transaction, and never before
    its time by the database's clock. It is enqueued exactly once if a worker reaches the database between it and the
    next tick; of several that went by without one, the last is made up for. What a wrong clock of a machine can do
    is nothing. Where the database's own is set back by up to an hour, schedules pause until it is there again; by
    more, they begin anew.
    """

    def __init__(self, resources: Resources, registry: Registry, *, machine: Clock | None = None) -> None:
        """`machine` is the clock that is held against the database's."""
        self._resources = resources
        self._schedules = registry.schedules
        resources.metrics.tasks.know((), (each.name for each in registry.schedules))
        self._clock = SharedClock(resources.database, resources.clock, machine or SystemClock())
        self._looked_at = resources.clock.now()

    async def run(self) -> None:
        """Until cancelled."""
        backoff, tell = Backoff(), log.warning
        while True:
            try:
                await self.run_once()
                backoff.reset()
                tell = log.warning
                await asyncio.sleep(self._until_next())
            except TROUBLE as error:
                tell("schedules_failed", reason=str(error))
                tell = log.debug  # the other lines of an outage would say the same
                await backoff.wait()

    async def run_once(self) -> list[str]:
        """Enqueue what is due; gives the names of those schedules."""
        if not self._schedules:
            return []
        await self._clock.compare()
        now = self._looked_at = self._clock.now()
        ticks = await select_ticks(self._resources.database, [each.name for each in self._schedules])
        open_ = [each for each in self._schedules if _is_open(each, ticks.get(each.name), now)]
        return [each.name for each in open_ if await self._tick(each, now)]

    async def _tick(self, schedule: Schedule[Any], now: datetime) -> bool:
        """Whether its task was enqueued. A transaction for each, so that nobody waits for two rows."""
        tick = schedule.cron.last_until(now)
        db, queue = self._resources.database, self._resources.queue
        async with db.transaction():
            step = await advance_schedule(db, schedule.name, tick=tick, latest=now + FARTHEST)
            if step is Step.DUE:
                await queue.enqueue(schedule.task, schedule.payload)
        self._tell(schedule, step, tick)
        return step is Step.DUE

    def _tell(self, schedule: Schedule[Any], step: Step, tick: datetime) -> None:
        facts = {"schedule": schedule.name, "tick": tick.isoformat()}
        if step is Step.DUE:
            self._resources.metrics.tasks.scheduled(schedule.name)
            log.info("schedule_ticked", **facts, task_type=schedule.task.name)
        elif step is Step.FIRST_SEEN:
            log.info("schedule_first_seen", **facts)
        elif step is Step.SET_BACK:
            log.warning("schedule_set_back", **facts)

    def _until_next(self) -> float:
        """Seconds; counted from the last look, so that a tick that came during it is not slept through."""
        ticks = [each.cron.next_after(self._looked_at) for each in self._schedules]
        now = self._clock.now()
        return min([LONGEST_SLEEP, *(max(0.0, (tick - now).total_seconds()) for tick in ticks)])


def _is_open(schedule: Schedule[Any], last: datetime | None, now: datetime) -> bool:
    """Whether there may be something to do: what nobody has seen, has a tick to come, or is far ahead."""
    return last is None or last < schedule.cron.last_until(now) or last > now + FARTHEST
