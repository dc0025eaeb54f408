"""What becomes of a task, by what its handler does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.core.queue import Task
from app.core.resources import Resources
from app.tasks import Handler, Registry, Work
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.runners import Number, enqueue, opened, runner_of, running

TASK = Task("test.work", Number)


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings("worker.retry_delay=0")) as found:
        yield found


async def test_a_task_is_done_when_its_handler_returns(resources: Resources) -> None:
    done: list[int] = []

    async def run(work: Work[Number]) -> None:
        done.append(work.payload.number)

    await enqueue(resources, TASK, range(3))
    runner = runner_of(resources, Registry([Handler(TASK, run)]))

    assert await runner.run_once() == 3
    assert await runner.run_once() == 0
    assert sorted(done) == [0, 1, 2]


async def test_a_runner_does_what_comes_until_it_is_stopped(resources: Resources) -> None:
    done: list[int] = []

    async def run(work: Work[Number]) -> None:
        done.append(work.payload.number)

    async def all_done() -> bool:
        return await resources.database.fetch_val("SELECT count(*) FROM finished_tasks WHERE status = 'done'") == 600

    runner = runner_of(resources, Registry([Handler(TASK, run)]))
    async with running(runner):
        await enqueue(resources, TASK, range(600))
        await eventually(all_done, within=30)

    assert sorted(done) == list(range(600))
