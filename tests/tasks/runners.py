"""Runners in this process, on the test's own database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from app.core.lifecycle import Lifecycle
from app.core.queue import Priority, Task
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.tasks import Registry
from app.tasks.hints import Hints
from app.tasks.runner import Runner

GRACE = 20.0  # seconds; more than a busy machine needs for what is to end by itself


@dataclass(frozen=True)
class Number:
    """Payload: which of them it is."""

    number: int = 0


def runner_of(resources: Resources, registry: Registry) -> Runner:
    return Runner(resources, registry, Hints(), f"test:{uuid4().hex[:8]}")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings, Lifecycle()) as resources:
        yield resources


@asynccontextmanager
async def running(*runners: Runner, grace: float = GRACE) -> AsyncIterator[None]:
    """They run as long as the block, and end as a worker does at a signal."""
    async with asyncio.TaskGroup() as group:
        for each in runners:
            group.create_task(each.run())
        try:
            yield
        finally:
            for each in runners:
                each.stop_claiming()
            await asyncio.gather(*(each.finish(grace) for each in runners))


async def enqueue(
    resources: Resources,
    task: Task[Number],
    numbers: Iterable[int] = (0,),
    *,
    priority: Priority = Priority.NORMAL,
    delay: float = 0.0,
) -> list[UUID]:
    async with resources.database.transaction():
        payloads = [Number(number) for number in numbers]
        return await resources.queue.enqueue_many(task, payloads, priority=priority, delay=delay)


async def waiting(resources: Resources) -> list[dict[str, Any]]:
    """The rows of tasks that have not ended, with the database's `now`."""
    rows = await resources.database.fetch_all("SELECT *, clock_timestamp() AS now FROM tasks ORDER BY id")
    return [dict(row) for row in rows]


async def ended(resources: Resources) -> list[dict[str, Any]]:
    """The rows of tasks that have ended, in the order in which they did."""
    rows = await resources.database.fetch_all("SELECT * FROM finished_tasks ORDER BY finished_at, id")
    return [dict(row) for row in rows]
