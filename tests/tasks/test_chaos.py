"""Workers are killed, the database crashes, transactions are rolled back: nothing is lost, and nothing done twice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import pytest

from app.core.database import Database, Statement, open_database
from app.core.queue import Queue, Waker, open_queue
from app.embedded import PostgresServer
from app.tasks import LeaseLost, store
from app.tasks.store import Lane
from app.tasks.store.settling import FINISH
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.chaos_faults import Faults
from tests.tasks.chaos_feature import JOB, Job, create_tables
from tests.tasks.chaos_producers import Producers

pytestmark = [pytest.mark.fault, pytest.mark.xdist_group("chaos of tasks")]

LONG = bool(os.environ.get("PLINTH_LONG"))
PATIENCE = 600.0 if LONG else 90.0
LEASE = 2.0
RUNS_AGAIN = LEASE + 5.0  # seconds from a kill to the next run of what was running: a promise


@dataclass(frozen=True)
class Size:
    """At least so much; `seconds` for all tasks, and between two faults."""

    tasks: int
    seconds: float
    kill_every: float
    restart_every: float
    kills: int
    restarts: int


SIZE = Size(20_000, 100, 2, 30, kills=30, restarts=3) if LONG else Size(1_500, 7, 2, 4, kills=3, restarts=1)
OPTIONS = (
    f"worker.lease={LEASE}",
    "worker.retry_delay=0.1",
    "worker.retry_delay_max=1",
    "worker.max_crashes=100",
    "telemetry.networks=127.0.0.0/8",
)


@pytest.mark.timeout(1200 if LONG else 150)
async def test_nothing_is_lost_or_finalised_twice(
    durable: TestSettings, durable_postgres: PostgresServer, figure: Callable[[str], None]
) -> None:
    async with open_database(durable().database) as db:
        await create_tables(db)
    faults = Faults(durable, durable_postgres, OPTIONS, kill_every=SIZE.kill_every, restart_every=SIZE.restart_every)
    async with AsyncExitStack() as running:
        running.push_async_callback(faults.close)
        for _ in range(2):
            await (await faults.start_worker()).listening()
        db = await running.enter_async_context(open_database(durable("database.pool_max=8").database))
        queue = await running.enter_async_context(open_queue(db))
        producers = Producers(db, queue, SIZE.tasks, SIZE.seconds)
        began = time.monotonic()
        async with faults.happening():
            await producers.run(until=lambda: enough(faults))
        produced = time.monotonic() - began
        await eventually(lambda: all_have_ended(db), within=PATIENCE)

        story = await Story.read(db, faults)
        figure(
            f"chaos: {story.asked} tasks in {produced:.0f} s (and {time.monotonic() - began - produced:.1f} s to end), "
            f"{len(faults.kills)} kills, {len(faults.restarts)} crashes of PostgreSQL of at most "
            f"{max(faults.restarts, default=0):.1f} s, {len(producers.rolled_back)} rolled back, {producers.failures} "
            f"transactions failed; {story.runs} runs, of {story.interrupted} that were killed the last ran again after "
            f"{story.slowest:.2f} s; {story.crashes} crashes counted, at most {story.most_crashes} of one task"
        )
        assert enough(faults)
        assert producers.failures > 0
        assert story.interrupted > 0
        await story.check(db, producers)
        assert story.slowest < RUNS_AGAIN


@pytest.mark.timeout(150)
async def test_a_database_that_crashes_makes_no_task_look_like_poison(
    durable: TestSettings, durable_postgres: PostgresServer
) -> None:
    """With a long lease, so that a task that waits for its end would show."""
    async with open_database(durable().database) as db:
        await create_tables(db)
    faults = Faults(durable, durable_postgres, (*OPTIONS, "worker.lease=300"))
    async with AsyncExitStack() as running:
        running.push_async_callback(faults.close)
        await (await faults.start_worker()).listening()
        db = await running.enter_async_context(open_database(durable().database))
        queue = await running.enter_async_context(open_queue(db))
        for _ in range(3):
            async with db.transaction():
                ids = await queue.enqueue_many(JOB, [Job(0.2, effect=True)] * 5 + [Job()] * 50)
            await eventually(partial(any_has_begun, db, ids), within=PATIENCE)
            await faults.restart()

        await eventually(lambda: all_have_ended(db), within=PATIENCE)

        ends = await db.fetch_all(
            "SELECT DISTINCT status, crash_count FROM finished_tasks WHERE task_type = 'chaos.job'"
        )
        assert [tuple(row) for row in ends] == [("done", 0)]
        assert len(faults.restarts) == 3
        assert await db.fetch_val("SELECT count(*) FROM finals") == 3 * 55


async def any_has_begun(db: Database, ids: list[UUID]) -> bool:
    sql = "SELECT EXISTS (SELECT FROM ledger WHERE task_id = ANY (CAST(:ids AS uuid[])))"
    return bool(await db.fetch_val(sql, {"ids": ids}))


def enough(faults: Faults) -> bool:
    return len(faults.kills) >= SIZE.kills and len(faults.restarts) >= SIZE.restarts


async def all_have_ended(db: Database) -> bool:
    sql = """SELECT NOT EXISTS (SELECT FROM tasks WHERE task_type = :name)
             AND NOT EXISTS (SELECT FROM asked WHERE task_id NOT IN (SELECT task_id FROM finals))"""
    return bool(await db.fetch_val(sql, {"name": JOB.name}))


RUN_AGAIN = """
SELECT extract(epoch FROM min(next.started))::double precision - :killed AS seconds
FROM ledger AS killed JOIN ledger AS next ON next.task_id = killed.task_id AND next.lease_seq > killed.lease_seq
WHERE killed.worker = :pid AND extract(epoch FROM killed.started) <= :killed
  AND NOT EXISTS (SELECT FROM ledger AS between WHERE between.task_id = killed.task_id
                  AND between.lease_seq > killed.lease_seq AND extract(epoch FROM between.started) <= :killed)
GROUP BY killed.task_id
"""
TOTALS = """
SELECT (SELECT count(*) FROM asked) AS asked, (SELECT count(*) FROM ledger) AS runs,
       (SELECT sum(crash_count) FROM finished_tasks WHERE task_type = :name) AS crashes,
       (SELECT max(crash_count) FROM finished_tasks WHERE task_type = :name) AS most_crashes
"""
FAULTS = {
    "lost": "SELECT task_id FROM asked WHERE task_id NOT IN (SELECT id FROM finished_tasks WHERE status = 'done')",
    "done and never asked for": "SELECT task_id FROM finals WHERE task_id NOT IN (SELECT task_id FROM asked)",
    "run and never asked for": "SELECT task_id FROM ledger WHERE task_id NOT IN (SELECT task_id FROM asked)",
    "finalised twice": "SELECT task_id FROM finals GROUP BY task_id HAVING count(*) > 1",
    "not done": "SELECT id FROM finished_tasks WHERE task_type = :name AND status <> 'done'",
    "an effect twice": "SELECT task_id FROM effects GROUP BY task_id HAVING count(*) > 1",
    "done without its effect": """
        SELECT asked.task_id FROM asked WHERE asked.effect AND task_id NOT IN (SELECT task_id FROM effects)""",
    "an effect of another run than the one that ended the task": """
        SELECT task_id FROM effects JOIN finals USING (task_id) WHERE effects.lease_seq <> finals.lease_seq""",
    "an end by another run than the last": """
        SELECT task_id FROM finals JOIN ledger USING (task_id)
        GROUP BY task_id, finals.lease_seq HAVING max(ledger.lease_seq) <> finals.lease_seq""",
    "an older lease after a newer one": """
        SELECT task_id FROM (SELECT task_id, lease_seq, lag(lease_seq) OVER (PARTITION BY task_id ORDER BY started)
                             AS before FROM ledger) AS runs WHERE lease_seq <= before""",
}


@dataclass(frozen=True)
class Story:
    """What the ledger tells; `interrupted` are runs that were under way at a kill, `slowest` the last to run again."""

    asked: int
    runs: int
    crashes: int
    most_crashes: int
    interrupted: int
    slowest: float

    @classmethod
    async def read(cls, db: Database, faults: Faults) -> Story:
        totals = await db.fetch_existing(TOTALS, {"name": JOB.name})
        seconds: list[float] = []
        for kill in faults.kills:
            rows = await db.fetch_all(RUN_AGAIN, {"pid": kill.pid, "killed": kill.at})
            seconds += [row["seconds"] for row in rows]
        return cls(**totals, interrupted=len(seconds), slowest=max(seconds, default=0.0))

    async def check(self, db: Database, producers: Producers) -> None:
        for fault, sql in FAULTS.items():
            found = await db.fetch_all(sql, {"name": JOB.name} if ":name" in sql else {})
            assert found == [], fault
        asked = {row["task_id"] for row in await db.fetch_all("SELECT task_id FROM asked")}
        assert producers.committed <= asked
        assert not producers.rolled_back & asked
        assert producers.rolled_back


async def finalise(db: Database, task_id: UUID, settle: Statement | str, values: dict[str, object]) -> bool:
    """An effect and the end of its task in one transaction, as `work.finishing()` does it; whether it was stored."""
    with suppress(LeaseLost):
        async with db.transaction():
            await db.execute("INSERT INTO effects (task_id) VALUES (:id)", {"id": task_id})
            if not await db.fetch_all(settle, values):
                raise LeaseLost
        return True
    return False


async def test_a_worker_that_comes_back_after_its_lease_finalises_nothing(db: Database) -> None:
    """The control is how stock queues settle: by the id alone (stack notes, J1)."""
    await create_tables(db)
    async with db.transaction():
        task_id = await Queue(db, Waker(db)).enqueue(JOB, Job())
    lanes = [Lane(JOB.name, 0, room=1)]
    [stalled] = await store.claim(db, lanes, worker="stalled", lease=0.0, limit=1)
    assert [each.id for each in await store.rescue(db, max_crashes=3)] == [task_id]
    [successor] = await store.claim(db, lanes, worker="successor", lease=60.0, limit=1)
    ending = {"ids": [task_id], "statuses": ["done"], "errors": [None]}
    await db.execute("CREATE TABLE stock_jobs (id uuid, status text)")
    await db.execute("INSERT INTO stock_jobs VALUES (:id, 'running')", {"id": stalled.id})
    stock = "UPDATE stock_jobs SET status = 'done' WHERE id = :id RETURNING id"

    fenced = [
        await finalise(db, each.id, FINISH, {**ending, "lease_seqs": [each.lease_seq]})
        for each in (stalled, successor, stalled)
    ]
    unfenced = [await finalise(db, each.id, stock, {"id": each.id}) for each in (successor, stalled)]

    assert fenced == [False, True, False]
    assert unfenced == [True, True]
    assert await db.fetch_val("SELECT count(*) FROM finals") == 1
    assert await db.fetch_val("SELECT count(*) FROM effects") == 1 + len(unfenced)
