"""A worker that does one step when it is told to: tests wait for nothing, and nothing runs between two steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.lifecycle import Lifecycle
from app.core.queue import Queue
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.tasks import Registry
from app.tasks.hints import Hints
from app.tasks.relay import Relay
from app.tasks.runner import Runner
from app.tasks.scheduler import Scheduler
from app.tasks.worker import unique_name

STEPS = 100  # of one `settle`; work that makes more work for ever is a fault


@dataclass(frozen=True)
class SteppedWorker:
    """The parts of a worker, none of which runs by itself; each has a `run_once`."""

    resources: Resources
    runner: Runner
    relay: Relay
    scheduler: Scheduler

    @property
    def queue(self) -> Queue:
        return self.resources.queue

    async def run_once(self) -> int:
        """Run what is due to its end; gives how many tasks that were."""
        return await self.runner.run_once()

    async def settle(self) -> int:
        """Hand on events and run tasks until nothing is due; gives how many ran."""
        total = 0
        for _ in range(STEPS):
            moved, ran = await self.relay.run_once(), await self.run_once()
            total += ran
            if not moved + ran:
                return total
        raise AssertionError(f"there was still something to do after {STEPS} steps")


@asynccontextmanager
async def stepped_worker(settings: Settings, registry: Registry) -> AsyncIterator[SteppedWorker]:
    async with open_resources(settings, Lifecycle()) as resources:
        hints = Hints()
        yield SteppedWorker(
            resources,
            Runner(resources, registry, hints, unique_name()),
            Relay(resources, registry, hints),
            Scheduler(resources, registry),
        )
