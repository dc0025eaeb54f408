"""`app worker` as a process: what it tells, how it stops, what becomes of its tasks."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from app.core.database import Database
from app.core.queue import Queue
from tests.harness.app_process import FAULT_TASKS, AppProcess, launch_app
from tests.harness.fault_tasks import FAIL, NAP, Nap
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

pytestmark = pytest.mark.engines

LOOPS = ["asyncio", "uvloop"]
WITHIN = 30.0  # seconds; a loaded machine, not a slow worker
GRACE = 30.0

AT_LOOPS = pytest.mark.parametrize("loop", LOOPS)


async def ask(queue: Queue, db: Database, *naps: float) -> list[UUID]:
    async with db.transaction():
        return await queue.enqueue_many(NAP, [Nap(seconds) for seconds in naps])


async def statuses(db: Database) -> Counter[str]:
    rows = await db.fetch_all("SELECT status FROM tasks UNION ALL SELECT status FROM finished_tasks")
    return Counter(row["status"] for row in rows)


async def owner(db: Database, task_id: UUID) -> str | None:
    """The worker that runs it."""
    return await db.fetch_val("SELECT locked_by FROM tasks WHERE id = :id AND status = 'running'", {"id": task_id})  # type: ignore[no-any-return]


async def running(db: Database, count: int) -> bool:
    return (await statuses(db))["running"] == count


async def naps(worker: AppProcess, count: int) -> None:
    """Until so many naps have begun: what is only claimed is given back at once by a worker that stops."""
    await eventually(lambda: len(worker.events("napping")) >= count, within=WITHIN)


def name_of(worker: AppProcess) -> str:
    return str(worker.events("worker_ready")[0]["worker"])


async def test_it_does_what_was_asked_for_and_tells_how_it_is(
    worker_process: StartApp, queue: Queue, db: Database
) -> None:
    worker = await worker_process()
    await eventually(lambda: worker.events("listener_connected"), within=WITHIN)
    await ask(queue, db, *[0.0] * 5)

    await eventually(lambda: _all_done(db, 5), within=WITHIN)
    await eventually(lambda: _has_counted(worker, 5), within=WITHIN)
    ready = await worker.http.get("/health/ready")
    metrics = await worker.http.get("/metrics")
    others = [(await worker.http.get(path)).status_code for path in ("/", "/docs", "/test/inside", "/api/v1/anything")]
    live = await worker.http.get("/health/live")

    assert (ready.status_code, ready.json()["checks"]["worker"]) == (200, {"ok": True})
    assert "plinth_tasks_listening 1.0" in metrics.text
    assert others == [404] * 4
    assert live.status_code == 200


async def _all_done(db: Database, count: int) -> bool:
    return (await statuses(db))["done"] == count


async def _has_counted(worker: AppProcess, count: int) -> bool:
    """So many naps are done and no others: it counts one when it has been told that its end is stored."""
    metrics = (await worker.http.get("/metrics")).text
    return f'plinth_tasks_ended_total{{outcome="done",task_type="test.nap"}} {count}.0' in metrics.splitlines()


async def test_a_server_does_no_tasks_and_has_no_such_check(app_process: StartApp, queue: Queue, db: Database) -> None:
    server = await app_process(module=FAULT_TASKS)
    await ask(queue, db, 0.0)
    worker = await app_process(module=FAULT_TASKS, role="work")

    await eventually(lambda: _all_done(db, 1), within=WITHIN)
    await eventually(lambda: _has_counted(worker, 1), within=WITHIN)

    assert server.events("worker_ready") == []
    assert "worker" not in (await server.http.get("/health/ready")).json()["checks"]
    assert "test.nap" not in (await server.http.get("/metrics")).text


async def test_one_process_may_be_both(app_process: StartApp, queue: Queue, db: Database) -> None:
    both = await app_process(module=FAULT_TASKS, role="both")
    await ask(queue, db, 0.0)

    await eventually(lambda: _all_done(db, 1), within=WITHIN)

    assert (await both.http.get("/test/inside")).status_code == 200
    assert (await both.http.get("/health/ready")).json()["checks"]["worker"] == {"ok": True}
    both.terminate()
    assert await both.wait(within=WITHIN) == 0
    assert both.events("worker_stopped")


@AT_LOOPS
async def test_at_sigterm_short_tasks_finish_and_long_ones_are_another_workers_at_once(
    worker_process: StartApp, queue: Queue, db: Database, loop: str
) -> None:
    # A lease that outlasts the test: what the second one has, it was given.
    options = ("worker.lease=3600", f"server.event_loop={loop}")
    first = await worker_process(*options, "worker.shutdown_timeout=4", "worker.concurrency=4")
    short, long = await ask(queue, db, 2.0), await ask(queue, db, 600.0, 600.0)
    await naps(first, 3)
    assert {await owner(db, each) for each in short + long} == {name_of(first)}

    first.terminate()
    await eventually(lambda: first.events("stop_requested"), within=WITHIN)
    second = await worker_process(*options)
    waiting = await ask(queue, db, 600.0)
    code = await first.wait(within=GRACE)
    await eventually(lambda: running(db, 3), within=WITHIN)

    assert code == 0
    assert {await owner(db, each) for each in long + waiting} == {name_of(second)}
    assert await db.fetch_val("SELECT status FROM finished_tasks WHERE id = :id", {"id": short[0]}) == "done"
    assert (await statuses(db)) == {"done": 1, "running": 3}
    released = await db.fetch_all("SELECT retry_count, crash_count FROM tasks")
    assert {(row["retry_count"], row["crash_count"]) for row in released} == {(0, 0)}, "nobody's failure"
    assert first.events("tasks_released")[0]["tasks"] == 2


@AT_LOOPS
async def test_while_it_finishes_it_tells_that_it_stops_and_every_step_is_logged(
    worker_process: StartApp, queue: Queue, db: Database, loop: str
) -> None:
    worker = await worker_process(f"server.event_loop={loop}", "worker.shutdown_timeout=2", "server.drain_delay=300")
    await ask(queue, db, 600.0)
    await naps(worker, 1)

    worker.terminate()
    await eventually(lambda: worker.events("stop_requested"), within=WITHIN)
    ready = await worker.http.get("/health/ready")

    assert ready.status_code == 503
    assert ready.json()["checks"]["draining"] == {"ok": False, "reason": "the process is stopping"}
    assert await worker.wait(within=GRACE) == 0
    steps = ["starting", "worker_ready", "server_listening", "stop_requested", "tasks_released", "worker_stopped"]
    steps += ["drain_started", "drain_finished", "stopped"]
    assert [line["event"] for line in worker.logs if line.get("event") in steps] == steps


@AT_LOOPS
async def test_a_second_signal_ends_at_once_with_130(
    worker_process: StartApp, queue: Queue, db: Database, loop: str
) -> None:
    worker = await worker_process(f"server.event_loop={loop}", "worker.shutdown_timeout=3600")
    await ask(queue, db, 600.0)
    await naps(worker, 1)

    worker.terminate()
    await eventually(lambda: worker.events("stop_requested"), within=WITHIN)
    worker.terminate()

    assert await worker.wait(within=WITHIN) == 130
    assert worker.events("worker_stopped") == []


async def test_a_database_that_is_down_ends_the_start_with_3(settings: TestSettings) -> None:
    down = ("database.port=1", "database.start_timeout=0.5")
    async with launch_app(settings, *down, module=FAULT_TASKS, role="work") as worker:
        code = await worker.wait(within=WITHIN)

    (failed,) = worker.events("start_failed")
    assert code == failed["exit_code"] == 3
    assert "could not be reached within 0.5 s" in failed["reason"]


async def test_a_failing_task_harms_nothing_else(worker_process: StartApp, queue: Queue, db: Database) -> None:
    worker = await worker_process("worker.retry_delay=0", "worker.poll_interval=0.05")
    async with db.transaction():
        await queue.enqueue(FAIL, Nap())
    await ask(queue, db, 0.0)

    async def ended() -> bool:
        return await statuses(db) == {"dead": 1, "done": 1}

    await eventually(ended, within=WITHIN)

    assert worker.events("worker_part_failed") == []
    assert (await worker.http.get("/health/ready")).status_code == 200


async def test_a_worker_whose_claims_are_not_answered_is_not_ready_but_one_without_room_is(
    worker_process: StartApp, queue: Queue, db: Database
) -> None:
    """The probe of the database is answered all the time: nothing else would tell."""
    full = await worker_process("worker.concurrency=1", "worker.lease=3600")
    await ask(queue, db, 600.0)
    await eventually(lambda: running(db, 1), within=WITHIN)
    silent = await worker_process("worker.poll_interval=0.1")

    async with db.transaction():
        await db.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        reason = await eventually(lambda: _reason_of_worker(silent, db), within=2 * WITHIN)
        checks = (await silent.http.get("/health/ready")).json()["checks"]
        ready = await full.http.get("/health/ready")

    assert reason.startswith("the database has not answered a claim for 1")
    assert checks["database"] == {"ok": True}
    assert (ready.status_code, ready.json()["checks"]["worker"]) == (200, {"ok": True})
    await eventually(lambda: _is_ready(silent), within=WITHIN)


async def _reason_of_worker(worker: AppProcess, db: Database) -> str:
    await db.execute("SELECT 1")  # PostgreSQL ends a transaction that is idle for long
    answer = await worker.http.get("/health/ready")
    check = answer.json()["checks"]["worker"]
    assert answer.status_code == (200 if check["ok"] else 503)
    return str(check.get("reason", ""))


async def _is_ready(worker: AppProcess) -> bool:
    return (await worker.http.get("/health/ready")).status_code == 200
