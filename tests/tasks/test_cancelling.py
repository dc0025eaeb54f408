"""An operator ends a task that runs, and its worker really stops: at once, and without a word about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.beside import beside
from app.core.queue import Task
from app.core.resources import Resources
from app.tasks import Handler, Registry, Work, operations
from app.tasks.hints import Hints
from app.tasks.listener import Listener
from app.tasks.runner import Runner
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.runners import Number, ended, enqueue, opened, running

TASK = Task("test.work", Number, timeout=3000)
# Neither a look for work nor a renewal comes in time: only the hint does.
PATIENT = ("worker.lease=3000", "worker.poll_interval=60")


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings(*PATIENT)) as found:
        yield found


async def test_a_cancelled_run_ends_on_its_worker_and_a_retry_is_another_run(resources: Resources) -> None:
    begun: list[int] = []
    stopped: list[int] = []

    async def run(work: Work[Number]) -> None:
        begun.append(work.lease_seq)
        try:
            if work.lease_seq == 1:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(work.lease_seq)
            raise

    async def listens() -> bool:
        told = "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()"
        return bool(await resources.database.fetch_val(told))

    async def is_done() -> bool:
        return [each["status"] for each in await ended(resources)] == ["done"]

    hints = Hints()
    runner = Runner(resources, Registry([Handler(TASK, run)]), hints, "test:1")
    listener = Listener(resources, hints)
    async with beside(listener.run(), name="listener"), running(runner):
        await eventually(listens, within=30)
        [task_id] = await enqueue(resources, TASK)
        await eventually(lambda: begun == [1], within=30)

        outcome = await operations.cancel_tasks(resources.database, [task_id])
        await eventually(lambda: stopped == [1], within=30)
        [row] = await ended(resources)
        retried = await operations.retry_tasks(resources.database, [task_id])
        await eventually(is_done, within=30)

    assert outcome.done == retried.done == [task_id]
    assert (row["status"], row["lease_seq"], row["last_error"]) == ("cancelled", 1, None)
    assert begun == [1, 2]
