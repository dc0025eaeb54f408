"""Section `worker`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx

from app.core.beside import beside
from app.core.ids import new_id
from app.core.queue import Task
from app.core.resources import Resources
from app.feature import registry_of
from app.features import health
from app.features import queue as housekeeping
from app.features.queue.tasks import SWEEP_FINISHED_TASKS, SWEEP_OUTBOX, SWEEP_PROCESSED_EVENTS
from app.server import Role
from app.tasks import Handler, Registry, Work, store
from app.tasks.hints import Hints
from app.tasks.runner import Runner
from app.tasks.store import Lane
from app.tasks.sweeping import Nothing
from app.tasks.worker import open_worker
from tests.effects.case import Trial, limits, shows
from tests.effects.of_server import two_free_ports
from tests.effects.starting import serving
from tests.harness.stepped_worker import SteppedWorker, stepped_worker
from tests.harness.waiting import eventually

PATIENCE = 120  # seconds; the harness ends a wait that is to go on
EMPTY = "TRUNCATE tasks, finished_tasks, outbox, processed_events"
TEN_MINUTES_AGO = "now() - interval '10 minutes'"
FOR_A_MINUTE_OR_AN_HOUR = {"60": 0, "3600": 1}


@dataclass(frozen=True)
class Empty:
    """No payload."""


TASK = Task("trial.work", Empty, timeout=3600)
Run = Callable[[Work[Empty]], Awaitable[None]]


async def at_once(_: Work[Empty]) -> None: ...


async def for_ever(_: Work[Empty]) -> None:
    await asyncio.Event().wait()


async def failing(_: Work[Empty]) -> None:
    raise RuntimeError("on purpose")


def registry(run: Run) -> Registry:
    return Registry([Handler(TASK, run)])


@asynccontextmanager
async def stepped(trial: Trial, run: Run = at_once, *stage: str, tasks: int = 1) -> AsyncIterator[SteppedWorker]:
    """A worker with this to do."""
    async with stepped_worker(trial.settings(*stage), registry(run)) as worker:
        await worker.resources.database.execute(EMPTY)
        await ask(worker.resources, tasks)
        yield worker


async def ask(resources: Resources, tasks: int = 1) -> UUID:
    async with resources.database.transaction():
        return (await resources.queue.enqueue_many(TASK, [Empty()] * tasks))[0]


async def until(worker: SteppedWorker, condition: str) -> None:
    """Look with SQL, again and again."""
    db = worker.resources.database
    await eventually(lambda: db.fetch_val(f"SELECT EXISTS ({condition})"), within=PATIENCE)


@shows("worker.port", two_free_ports)
async def the_port_that_answers(trial: Trial) -> int | None:
    async with (
        serving(trial.settings(), health.feature, role=Role.WORK) as running,
        httpx.AsyncClient(base_url=running.url) as client,
    ):
        return (await client.get("/health/live")).raise_for_status().url.port


@shows("worker.concurrency", {"1": 1, "3": 3})
async def the_most_that_run_at_once(trial: Trial) -> int:
    active, most = 0, 0

    async def count(_: Work[Empty]) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        active -= 1

    async with stepped(trial, count, tasks=9) as worker:
        await worker.run_once()
    return most


@limits("worker.lease", short="1")
async def a_task_of_a_lost_worker_is_left_to_it(trial: Trial) -> None:
    async with stepped(trial, for_ever, "worker.concurrency=1") as lost:
        # What runs goes on, as it would in a process that hangs; nobody renews it.
        async with beside(lost.runner.run(), name="lost"):
            await until(lost, "SELECT FROM tasks WHERE status = 'running'")
        try:
            other = Runner(lost.resources, registry(at_once), Hints(), "another")
            await eventually(other.run_once, within=PATIENCE)
        finally:
            await lost.runner.finish(0)


@limits("worker.poll_interval")
async def a_worker_that_nobody_tells_waits(trial: Trial) -> None:
    async with stepped(trial) as worker, beside(worker.runner.run(), name="runner"):
        await until(worker, "SELECT FROM finished_tasks")
        second = await ask(worker.resources)
        await until(worker, f"SELECT FROM finished_tasks WHERE id = '{second}'")


@limits("worker.shutdown_timeout")
async def a_running_task_may_go_on(trial: Trial) -> None:
    begun = asyncio.Event()

    async def begin(work: Work[Empty]) -> None:
        begun.set()
        await for_ever(work)

    async with stepped(trial, begin) as stage, open_worker(stage.resources, registry(begin)):
        await begun.wait()
        stage.resources.lifecycle.stop_requested.set()


@shows("worker.max_crashes", {"1": "dead", "2": "done"})
async def what_becomes_of_a_task_whose_worker_was_lost(trial: Trial) -> object:
    async with stepped(trial) as worker:
        db = worker.resources.database
        assert await store.claim(db, [Lane(TASK.name, 0, room=1)], worker="lost", lease=0.0, limit=1)
        await worker.run_once()
        return await db.fetch_val("SELECT status FROM finished_tasks")


async def _next_try(trial: Trial, *stage: str, failures: int = 0) -> None:
    """Wait for it, after that many and one more."""
    async with stepped(trial, failing, *stage) as worker:
        known = {"failures": failures}
        await worker.resources.database.execute("UPDATE tasks SET retry_count = :failures, max_retries = 100", known)
        assert await worker.run_once() == 1
        await eventually(worker.run_once, within=PATIENCE)


@limits("worker.retry_delay")
async def a_failed_task_rests(trial: Trial) -> None:
    await _next_try(trial)


@limits("worker.retry_delay_max")
async def a_failed_task_rests_at_most(trial: Trial) -> None:
    await _next_try(trial, "worker.retry_delay=0.1", failures=20)


async def _left_of_ten_minutes_ago(trial: Trial, made: str, sweep: Task[Nothing], *stage: str) -> object:
    """How many rows a sweep leaves of the one that `made` makes."""
    row, table = f"'{new_id()}'", made.split()[2]
    async with stepped_worker(trial.settings(*stage), registry_of([housekeeping.feature])) as worker:
        db = worker.resources.database
        await db.execute(EMPTY)
        await db.execute(made.replace("ID", row).replace("AGO", TEN_MINUTES_AGO))
        async with db.transaction():
            await worker.queue.enqueue(sweep, Nothing())
        assert await worker.run_once() == 1
        return await db.fetch_val(f"SELECT count(*) FROM {table} WHERE {KEYS.get(table, 'id')} = {row}")  # noqa: S608  (ours)


KEYS = {"processed_events": "event_id"}
FINISHED = """
INSERT INTO finished_tasks (id, task_type, payload, status, priority, retry_count, max_retries, crash_count, lease_seq,
                            run_at, context, created_at, finished_at)
VALUES (ID, 'trial.work', '{}', 'STATUS', 0, 0, 0, 0, 1, AGO, '{}', AGO, AGO)
"""


@shows("worker.keep_done", FOR_A_MINUTE_OR_AN_HOUR)
async def done_tasks_of_ten_minutes_ago(trial: Trial) -> object:
    return await _left_of_ten_minutes_ago(trial, FINISHED.replace("STATUS", "done"), SWEEP_FINISHED_TASKS)


@shows("worker.keep_dead", FOR_A_MINUTE_OR_AN_HOUR)
async def dead_tasks_of_ten_minutes_ago(trial: Trial) -> object:
    return await _left_of_ten_minutes_ago(trial, FINISHED.replace("STATUS", "dead"), SWEEP_FINISHED_TASKS)


@shows("worker.keep_events", FOR_A_MINUTE_OR_AN_HOUR)
async def events_handed_on_ten_minutes_ago(trial: Trial) -> object:
    made = """INSERT INTO outbox (id, aggregate_type, aggregate_id, event_type, payload, created_at, processed_at)
              VALUES (ID, 'thing', ID, 'trial.moved', '{}', AGO, AGO)"""
    return await _left_of_ten_minutes_ago(trial, made, SWEEP_OUTBOX)


@shows("worker.keep_processed", FOR_A_MINUTE_OR_AN_HOUR)
async def memories_of_ten_minutes_ago(trial: Trial) -> object:
    made = "INSERT INTO processed_events (event_id, handler_name, processed_at) VALUES (ID, 'trial.hears', AGO)"
    # Nothing may come again after it was forgotten.
    stage = "worker.keep_events=60", "worker.keep_dead=60"
    return await _left_of_ten_minutes_ago(trial, made, SWEEP_PROCESSED_EVENTS, *stage)
