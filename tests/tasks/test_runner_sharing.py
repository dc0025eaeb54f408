"""Several runners and several kinds of work at once: everything comes to its turn, and nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from app.core.queue import Priority, Task
from app.core.resources import Resources
from app.tasks import Handler, Registry, Work
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.runners import Number, ended, enqueue, opened, runner_of, running, waiting

TASK = Task("test.work", Number)
BOUNDED = Task("test.bounded", Number, concurrency=2)
OLDER, FLOOD = 20, 2000  # urgent tasks that come before the one that is not, and that wait at any time

# Every end of a task, by its fence: a row that is deleted and written again would show, too.
LEDGER = """
CREATE TABLE ledger (id uuid NOT NULL, lease_seq bigint NOT NULL);
CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO ledger VALUES (NEW.id, NEW.lease_seq); RETURN NEW; END $$;
CREATE TRIGGER note_end AFTER INSERT ON finished_tasks FOR EACH ROW EXECUTE FUNCTION note_end();
"""


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings("worker.retry_delay=0")) as found:
        yield found


async def test_two_runners_do_each_of_2000_tasks_once(resources: Resources) -> None:
    async with resources.database.connection() as connection:
        await connection.raw_connection.execute(LEDGER)
    ran: Counter[tuple[str, int]] = Counter()

    async def run(work: Work[Number]) -> None:
        ran[str(work.id), work.lease_seq] += 1

    registry = Registry([Handler(TASK, run)])
    ids = await enqueue(resources, TASK, range(2000))
    async with running(runner_of(resources, registry), runner_of(resources, registry)):
        await eventually(lambda: all_gone(resources), within=120)

    rows = await resources.database.fetch_all("SELECT id, lease_seq FROM ledger")
    assert Counter(str(row["id"]) for row in rows) == Counter(map(str, ids))
    assert set(ran.values()) == {1}
    assert {(str(row["id"]), row["lease_seq"]) for row in rows} <= set(ran)
    assert len(await by_worker(resources)) == 2


async def all_gone(resources: Resources) -> bool:
    return not await waiting(resources)


async def by_worker(resources: Resources) -> Counter[str]:
    return Counter(row["locked_by"] for row in await ended(resources))


async def test_urgent_work_comes_first_and_a_flood_of_it_starves_nobody(settings: TestSettings) -> None:
    order: list[Priority] = []
    low, high = Task("test.low", Number), Task("test.high", Number)

    async with opened(settings("worker.concurrency=1")) as resources:
        flood = asyncio.create_task(flooding(resources, high, until=lambda: Priority.LOW in order))

        async def run_low(_work: Work[Number]) -> None:
            order.append(Priority.LOW)

        async def run_high(_work: Work[Number]) -> None:
            order.append(Priority.HIGH)
            await asyncio.sleep(0.002)  # so that more comes than is done

        await enqueue(resources, high, range(OLDER), priority=Priority.HIGH)
        await enqueue(resources, low, priority=Priority.LOW)
        await enqueue(resources, high, range(500), priority=Priority.HIGH)
        async with running(runner_of(resources, Registry([Handler(low, run_low), Handler(high, run_high)]))):
            await eventually(lambda: Priority.LOW in order, within=60)
            left = await urgent(resources)
        await flood

    assert order[0] is Priority.HIGH
    assert left > 500  # it did not come to its turn because nothing else was left


async def urgent(resources: Resources) -> int:
    return int(await resources.database.fetch_val("SELECT count(*) FROM tasks WHERE priority = 1"))


async def flooding(resources: Resources, task: Task[Number], *, until: Callable[[], bool]) -> None:
    """More than can be done, and no more than that: what does it shares the processor with this."""
    while not until():
        if await urgent(resources) < FLOOD:
            await enqueue(resources, task, range(200), priority=Priority.HIGH)


async def test_two_runners_never_run_more_of_a_type_than_it_allows(resources: Resources) -> None:
    now = most = 0

    async def run(_work: Work[Number]) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(3):
            await resources.database.fetch_val("SELECT 1")
        now -= 1

    async def run_other(_work: Work[Number]) -> None:
        return

    registry = Registry([Handler(BOUNDED, run), Handler(TASK, run_other)])
    for priority in Priority:
        await enqueue(resources, BOUNDED, range(15), priority=priority)
    await enqueue(resources, TASK, range(100))
    async with running(runner_of(resources, registry), runner_of(resources, registry)):
        await eventually(lambda: all_gone(resources), within=120)

    assert most == 2
    assert len(await ended(resources)) == 145


async def test_what_was_claimed_ahead_of_a_stuck_task_goes_to_another_runner(resources: Resources) -> None:
    """One runner has more than it can begin; the other one does it long before the first would come to it."""
    go_on = asyncio.Event()
    done: list[int] = []

    async def run(work: Work[Number]) -> None:
        if 300 <= work.payload.number < 310:  # as many as one runner runs at once
            await go_on.wait()
        done.append(work.payload.number)

    registry = Registry([Handler(TASK, run)])
    await enqueue(resources, TASK, range(600))
    first, second = runner_of(resources, registry), runner_of(resources, registry)
    async with running(first):
        await eventually(lambda: len(done) >= 300, within=60)
        async with running(second):
            await eventually(lambda: len(done) == 590, within=60)
            go_on.set()

    assert sorted(done) == list(range(600))
    assert len(await ended(resources)) == 600


async def test_delayed_work_is_not_begun_before_its_time(resources: Resources) -> None:
    async def run(_work: Work[Number]) -> None:
        return

    await enqueue(resources, TASK, delay=1000)
    runner = runner_of(resources, Registry([Handler(TASK, run)]))

    assert await runner.run_once() == 0
    await resources.database.execute("UPDATE tasks SET run_at = now()")
    assert await runner.run_once() == 1


async def test_types_that_this_worker_does_not_know_are_left_alone(resources: Resources) -> None:
    await enqueue(resources, TASK)

    assert await runner_of(resources, Registry()).run_once() == 0
    assert [row["status"] for row in await waiting(resources)] == ["pending"]
