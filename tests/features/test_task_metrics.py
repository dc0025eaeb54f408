"""Each number of a real worker moves when what it counts happens, and no row can make new ones."""

from __future__ import annotations

import asyncio

from app.core.database import Database
from app.core.ids import new_id
from app.core.queue import Event, Queue, Task
from app.feature import registry_of
from app.tasks import store
from app.tasks.store import Lane
from tests.features.counted_tasks import (
    DISCARDED,
    FAIL_ONCE,
    FOREIGN,
    FOREIGN_EVENT,
    GO_WELL,
    HAPPENED,
    PUT_OFF,
    STAY,
    UNUSED,
    YEARLY,
    Count,
    feature,
)
from tests.features.scrape import Scrape, scrape
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp, StartWorker
from tests.harness.waiting import eventually

COUNTED = "tests.features.counted_tasks"
PATIENCE = 30.0
AT_ONCE = "worker.retry_delay=0"


async def enqueue(queue: Queue, db: Database, task: Task[Count], count: int = 1, *, delay: float = 0.0) -> None:
    async with db.transaction():
        await queue.enqueue_many(task, [Count()] * count, delay=delay)


async def publish(queue: Queue, db: Database, event: Event[Count]) -> None:
    async with db.transaction():
        await queue.publish(event, new_id(), Count())


async def lose(queue: Queue, db: Database, task: Task[Count], count: int, crashes: int = 0) -> None:
    """So many were in the hands of a worker that is gone, and in those of others before."""
    await enqueue(queue, db, task, count)
    claimed = await store.claim(db, [Lane(task.name, 0, room=count)], worker="gone", lease=0.0, limit=count)
    values = {"crashes": crashes, "ids": [each.id for each in claimed]}
    await db.execute("UPDATE tasks SET crash_count = :crashes WHERE id = ANY (:ids)", values)
    assert len(claimed) == count


def ends(seen: Scrape, task: Task[Count]) -> dict[str, float]:
    found = seen.label_sets("plinth_tasks_ended_total")
    all_of_it = {labels for labels in found if ("task_type", task.name) in labels}
    values = {dict(labels)["outcome"]: seen.value("plinth_tasks_ended_total", **dict(labels)) for labels in all_of_it}
    return {outcome: value for outcome, value in values.items() if value}


def ended(seen: Scrape) -> float:
    name = "plinth_tasks_ended_total"
    return sum(seen.value(name, **dict(labels)) for labels in seen.label_sets(name))


async def after(app: AppProcess, runs: int) -> Scrape:
    """What is told once so many runs have ended."""

    async def look() -> Scrape | None:
        seen = await scrape(app)
        return seen if ended(seen) >= runs else None

    found = await eventually(look, within=PATIENCE)
    assert found is not None
    return found


async def test_runs_are_counted_and_timed_by_type_and_end(worker_process: StartApp, queue: Queue, db: Database) -> None:
    await enqueue(queue, db, GO_WELL, 3)
    for task in (FAIL_ONCE, DISCARDED, PUT_OFF):
        await enqueue(queue, db, task)
    await db.execute("UPDATE tasks SET run_at = run_at - interval '1 hour', created_at = created_at - interval '1 day'")

    worker = await worker_process(AT_ONCE, module=COUNTED)
    seen = await after(worker, 8)

    assert ends(seen, GO_WELL) == {"done": 3}
    assert ends(seen, FAIL_ONCE) == {"retry": 1, "done": 1}
    assert ends(seen, DISCARDED) == {"dead": 1}
    assert ends(seen, PUT_OFF) == {"later": 1, "done": 1}
    assert ends(seen, UNUSED) == {}
    for task, runs in ((GO_WELL, 3), (FAIL_ONCE, 2), (DISCARDED, 1), (PUT_OFF, 2)):
        of = {"task_type": task.name}
        assert seen.value("plinth_tasks_claimed_total", **of) == runs
        assert seen.value("plinth_tasks_pickup_delay_seconds_count", **of) == runs
        assert seen.value("plinth_tasks_run_duration_seconds_count", **of) == runs
        assert 0 < seen.value("plinth_tasks_run_duration_seconds_sum", **of) < PATIENCE
        assert seen.value("plinth_tasks_running", **of) == 0
    hours = seen.value("plinth_tasks_pickup_delay_seconds_sum", task_type=GO_WELL.name) / 3600
    assert 3 <= hours < 3.5, "from the moment it was due, not from that of its asking"


async def test_what_runs_and_what_is_lost_to_an_operator_shows(
    worker_process: StartApp, queue: Queue, db: Database
) -> None:
    worker = await worker_process("worker.lease=5", module=COUNTED)
    await enqueue(queue, db, STAY, 2)

    async def running() -> float:
        return (await scrape(worker)).value("plinth_tasks_running", task_type=STAY.name)

    async def is_two() -> bool:
        return await running() == 2

    await eventually(is_two, within=PATIENCE)
    await db.execute("DELETE FROM tasks WHERE task_type = :name", {"name": STAY.name})
    seen = await after(worker, 2)

    assert ends(seen, STAY) == {"lost": 2}
    assert await running() == 0


async def test_what_a_stop_gives_back_is_counted(worker: StartWorker) -> None:
    stepped = await worker(registry_of([feature]))
    resources, runner = stepped.resources, stepped.runner
    await enqueue(resources.queue, resources.database, STAY, 2)

    def value(name: str, **labels: str) -> float | None:
        return resources.metrics.registry.get_sample_value(name, {"task_type": STAY.name, **labels})

    running = asyncio.create_task(runner.run())
    await eventually(lambda: value("plinth_tasks_running") == 2, within=PATIENCE)
    await runner.finish(0.0)
    await running

    assert value("plinth_tasks_ended_total", outcome="released") == 2
    assert value("plinth_tasks_running") == 0


async def test_tasks_of_lost_workers_and_poison_are_counted_apart(
    worker_process: StartApp, queue: Queue, db: Database
) -> None:
    await lose(queue, db, GO_WELL, 2)
    await lose(queue, db, PUT_OFF, 1, crashes=2)
    await lose(queue, db, FOREIGN, 3)

    worker = await worker_process(module=COUNTED)
    seen = await after(worker, 2)

    rescued, poisoned = "plinth_tasks_rescued_total", "plinth_tasks_poisoned_total"
    assert seen.value(rescued, task_type=GO_WELL.name) == 2
    assert seen.value(poisoned, task_type=GO_WELL.name) == 0
    assert (seen.value(rescued, task_type=PUT_OFF.name), seen.value(poisoned, task_type=PUT_OFF.name)) == (0, 1)
    assert seen.value(rescued, task_type="other") == 3
    assert (ends(seen, GO_WELL), ends(seen, PUT_OFF)) == ({"done": 2}, {})


async def test_events_and_what_is_made_of_them_are_counted(
    worker_process: StartApp, queue: Queue, db: Database
) -> None:
    for _ in range(3):
        await publish(queue, db, HAPPENED)
    await db.execute("UPDATE outbox SET created_at = created_at - interval '1 hour'")

    worker = await worker_process(module=COUNTED)
    seen = await after(worker, 6)

    assert seen.value("plinth_outbox_relayed_total") == 3
    assert seen.value("plinth_outbox_tasks_total") == 6
    assert seen.value("plinth_outbox_relay_lag_seconds_count") == 1
    assert 3600 <= seen.value("plinth_outbox_relay_lag_seconds_sum") < 3700


async def test_a_tick_is_counted_by_its_schedule(worker_process: StartApp, db: Database) -> None:
    values = {"name": YEARLY}
    await db.execute("INSERT INTO schedules (name, last_tick) VALUES (:name, now() - interval '2 years')", values)

    worker = await worker_process(module=COUNTED)
    seen = await after(worker, 1)

    assert seen.value("plinth_schedules_ticks_total", schedule=YEARLY) == 1
    assert ends(seen, GO_WELL) == {"done": 1}


async def test_a_look_at_its_start_tells_how_much_there_is_to_do(
    worker_process: StartApp, queue: Queue, db: Database
) -> None:
    await enqueue(queue, db, UNUSED, 4, delay=3600)
    await enqueue(queue, db, FOREIGN, 2)
    await publish(queue, db, FOREIGN_EVENT)
    worker = await worker_process(module=COUNTED)

    async def look() -> Scrape | None:
        seen = await scrape(worker)
        is_complete = seen.label_sets("plinth_tasks_queued") and seen.value("plinth_tasks_listening")
        return seen if is_complete else None

    seen = await eventually(look, within=PATIENCE)

    assert seen is not None
    assert seen.value("plinth_tasks_queued", task_type=UNUSED.name, state="later") == 4
    assert seen.value("plinth_tasks_of_unknown_types") == 2
    assert (seen.value("plinth_outbox_of_unknown_types"), seen.value("plinth_outbox_unprocessed")) == (1, 0)


async def test_no_row_makes_a_series(worker_process: StartApp, queue: Queue, db: Database) -> None:
    for number in range(50):
        made_up = Task(f"made.up_{number}", Count)
        await enqueue(queue, db, made_up)
        await lose(queue, db, made_up, 1, crashes=number % 2 * 5)
    worker = await worker_process(module=COUNTED)

    async def look() -> Scrape | None:
        seen = await scrape(worker)
        rescued = seen.value("plinth_tasks_rescued_total", task_type="other")
        return seen if rescued and seen.label_sets("plinth_tasks_queued") else None

    seen = await eventually(look, within=PATIENCE)

    assert seen is not None
    types = {value for _, labels in seen.samples for name, value in labels if name == "task_type"}
    assert "other" in types
    assert not any(each.startswith("made") for each in types)


async def test_a_server_that_does_no_work_has_no_series_of_types(app_process: StartApp) -> None:
    server = await app_process(module=COUNTED)

    seen = await scrape(server)

    assert not any(name == "task_type" for _, labels in seen.samples for name, _ in labels)
    assert seen.label_sets("plinth_tasks_of_unknown_types") == set()
