"""How much there is to do, as one look at the database tells it, and that no old look is told for a new one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.beside import beside
from app.core.database import Database, open_database
from app.core.ids import new_id
from app.core.lifecycle import Lifecycle
from app.core.metrics import Metrics
from app.core.metrics.depth import DepthCollector, QueueDepth
from app.core.queue import Event, Task
from app.core.resources import Resources, open_resources
from app.embedded import PostgresServer, Stop
from app.tasks import Delivery, Handler, Registry, Subscriber, Work, store
from app.tasks import depth as depth_module
from app.tasks.depth import INTERVAL, SHARE, Depth
from app.tasks.store import Ending, Lane, Subscription
from app.tasks.store.measuring import SELECT_DEAD, OldestSnapshot, select_oldest_snapshot
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually


@dataclass(frozen=True)
class Nothing:
    """No payload."""


async def do_nothing(_: Work[Nothing]) -> None: ...
async def hear_nothing(_: Delivery[Nothing]) -> None: ...


WORK = Task("test.work", Nothing)
IDLE = Task("test.idle", Nothing)
FOREIGN = Task("test.foreign", Nothing)
MOVED = Event("test.moved", Nothing, aggregate="thing")
FOREIGN_EVENT = Event("test.unheard", Nothing, aggregate="thing")
REGISTRY = Registry(
    handlers=[Handler(WORK, do_nothing), Handler(IDLE, do_nothing)],
    subscribers=[Subscriber(MOVED, "test.hears", hear_nothing)],
)
BATCHES = 50 if "PLINTH_LONG" in os.environ else 1  # of 20,000 finished tasks
SUBSCRIPTION = Subscription(MOVED.name, "test.hears", priority=0, max_retries=3)


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings(), Lifecycle()) as opened:
        yield opened


async def enqueue(resources: Resources, task: Task[Nothing], count: int = 1, *, delay: float = 0.0) -> None:
    async with resources.database.transaction():
        await resources.queue.enqueue_many(task, [Nothing()] * count, delay=delay)


async def publish(resources: Resources, event: Event[Nothing], aggregate: UUID) -> None:
    async with resources.database.transaction():
        await resources.queue.publish(event, aggregate, Nothing())


async def bury(resources: Resources, task: Task[Nothing], count: int, status: str = "dead") -> None:
    """So many have ended: with everything a row of theirs has."""
    await enqueue(resources, task, count)
    lanes = [Lane(task.name, 0, room=count)]
    claimed = await store.claim(resources.database, lanes, worker="w", lease=30, limit=count)
    endings = [Ending(each.id, each.lease_seq, status, "boom") for each in claimed]
    assert len(await store.finish(resources.database, endings)) == count


async def test_a_look_counts_by_type_and_state(resources: Resources) -> None:
    await enqueue(resources, WORK, 5)
    await enqueue(resources, WORK, 2, delay=600)
    await store.claim(resources.database, [Lane(WORK.name, 0, room=1)], worker="w", lease=30, limit=1)
    one = new_id()
    for _ in range(3):
        await publish(resources, MOVED, one)
    await store.move_events(resources.database, [SUBSCRIPTION], known=[MOVED.name])
    await publish(resources, MOVED, one)
    await resources.database.execute("UPDATE tasks SET run_at = run_at - interval '1 hour' WHERE status = 'pending'")
    await resources.database.execute("UPDATE tasks SET created_at = created_at - interval '2 hours'")

    depth = await Depth(resources, REGISTRY).measure()

    of = depth.queued
    assert [of[WORK.name, state] for state in ("waiting", "due", "later", "running")] == [0, 6, 0, 1]
    assert [of["test.hears", state] for state in ("waiting", "due", "later", "running")] == [3, 0, 0, 0]
    assert [of[IDLE.name, state] for state in ("waiting", "due", "later", "running")] == [0, 0, 0, 0]
    assert 3600 <= depth.oldest_due[WORK.name] < 3700
    assert (depth.oldest_due[IDLE.name], depth.oldest_due["test.hears"]) == (0, 0)
    assert (depth.events, depth.oldest_event > 0) == (1, True)


async def test_what_is_due_later_is_not_late(resources: Resources) -> None:
    await enqueue(resources, WORK, 2, delay=600)

    depth = await Depth(resources, REGISTRY).measure()

    assert (depth.queued[WORK.name, "due"], depth.queued[WORK.name, "later"]) == (0, 2)
    assert depth.oldest_due[WORK.name] == 0


async def test_what_no_feature_knows_is_counted_together(resources: Resources) -> None:
    await enqueue(resources, FOREIGN, 3)
    await publish(resources, FOREIGN_EVENT, new_id())
    await resources.database.execute("UPDATE outbox SET created_at = created_at - interval '1 hour'")
    await bury(resources, Task("test.gone", Nothing), 2)
    await bury(resources, Task("test.gone_too", Nothing), 1)

    depth = await Depth(resources, REGISTRY).measure()

    assert depth.tasks_of_unknown_types == 3
    assert (depth.events_of_unknown_types, depth.events, depth.oldest_event) == (1, 0, 0)
    assert depth.dead == {WORK.name: 0, IDLE.name: 0, "test.hears": 0, "other": 3}
    assert {task_type for task_type, _ in depth.queued} == set(REGISTRY.runnables)


async def test_the_dead_are_counted_without_reading_what_went_well(resources: Resources) -> None:
    db = resources.database
    await bury(resources, WORK, 1, "done")
    await bury(resources, WORK, 7)
    columns = (
        "task_type, payload, status, priority, retry_count, max_retries, crash_count, lease_seq, run_at, context, "
        "created_at"
    )
    for _ in range(BATCHES):
        await db.execute(
            f"INSERT INTO finished_tasks (id, {columns}) SELECT uuidv7(), {columns} "  # noqa: S608  (constants)
            "FROM (SELECT * FROM finished_tasks WHERE status = 'done' LIMIT 1), generate_series(1, 20000)"
        )
    await db.execute("ANALYZE finished_tasks")

    depth = await Depth(resources, REGISTRY).measure()
    lines = [row[0] for row in await db.fetch_all(f"EXPLAIN (ANALYZE, BUFFERS) {SELECT_DEAD.sql}")]

    assert depth.dead[WORK.name] == 7
    assert await db.fetch_val("SELECT count(*) FROM finished_tasks") == BATCHES * 20_000 + 8
    assert any("ix_finished_tasks_not_done" in line for line in lines), lines
    assert not any("Seq Scan" in line for line in lines), lines


@asynccontextmanager
async def held_snapshot(db: Database) -> AsyncIterator[None]:
    """Somebody reads, and does not end; meanwhile others write."""
    async with db.transaction(isolation="repeatable_read"):
        await db.fetch_val("SELECT count(*) FROM tasks")
        yield


async def test_a_transaction_that_holds_back_vacuum_shows(resources: Resources, settings: TestSettings) -> None:
    async def nothing_is_held() -> bool:
        """A probe of our own may just be running."""
        return (await select_oldest_snapshot(resources.database)).seconds == 0

    await eventually(nothing_is_held, within=20)
    async with open_database(settings().database) as other, held_snapshot(other):
        await enqueue(resources, WORK)
        first = await select_oldest_snapshot(resources.database)
        await enqueue(resources, WORK)
        second = await select_oldest_snapshot(resources.database)
        told = await Depth(resources, REGISTRY).measure()
    await eventually(nothing_is_held, within=20)

    assert 0 < first.seconds < second.seconds <= told.snapshot_seconds
    assert 0 < first.transactions < second.transactions <= told.snapshot_transactions


async def test_without_the_right_to_it_only_the_count_of_transactions_is_seen(
    resources: Resources, settings: TestSettings
) -> None:
    db = resources.database
    async with open_database(settings().database) as other, held_snapshot(other), a_plain_role(db) as role:
        await enqueue(resources, WORK)
        without = await as_role(db, role)
        await db.execute(f"GRANT pg_monitor TO {role}")
        with_it = await as_role(db, role)

    assert (without.seconds, without.transactions > 0) == (0, True)
    assert (with_it.seconds > 0, with_it.transactions > 0) == (True, True)


@asynccontextmanager
async def a_plain_role(db: Database) -> AsyncIterator[str]:
    """A role without any right; roles belong to the whole server."""
    role = f"plinth_test_{new_id().hex}"
    await db.execute(f"CREATE ROLE {role}")
    try:
        yield role
    finally:
        await db.execute(f"DROP ROLE {role}")


async def as_role(db: Database, role: str) -> OldestSnapshot:
    async with db.transaction():
        await db.execute(f"SET LOCAL ROLE {role}")
        return await select_oldest_snapshot(db)


def told(metrics: Metrics) -> dict[str, float]:
    """What a scraper reads of a look, without the labels."""
    families = text_string_to_metric_families(metrics.exposition("")[0].decode())
    samples = [sample for family in families for sample in family.samples]
    return {sample.name: sample.value for sample in samples if sample.name in NAMES}


DEPTH = QueueDepth(
    queued={("test.work", "due"): 3},
    oldest_due={"test.work": 4.5},
    dead={"test.work": 2},
    tasks_of_unknown_types=1,
    events=7,
    oldest_event=0.5,
    events_of_unknown_types=6,
    snapshot_seconds=8.0,
    snapshot_transactions=9,
)
NAMES = {
    "plinth_tasks_queued": 3.0,
    "plinth_tasks_oldest_due_seconds": 4.5,
    "plinth_tasks_dead": 2.0,
    "plinth_tasks_of_unknown_types": 1.0,
    "plinth_outbox_unprocessed": 7.0,
    "plinth_outbox_oldest_seconds": 0.5,
    "plinth_outbox_of_unknown_types": 6.0,
    "plinth_database_oldest_snapshot_seconds": 8.0,
    "plinth_database_oldest_snapshot_transactions": 9.0,
}


def test_a_look_is_told_until_it_is_too_old(clock: FakeClock) -> None:
    metrics, collector = Metrics(), DepthCollector(clock=clock)
    metrics.registry.register(collector)

    before = told(metrics)
    collector.tell(DEPTH, lasting=45)
    clock.advance(44)
    fresh = told(metrics)
    clock.advance(1)
    old = told(metrics)
    collector.tell(DEPTH, lasting=45)
    again = told(metrics)

    assert (before, fresh, old, again) == ({}, NAMES, {}, NAMES)


async def test_looks_take_no_more_than_their_share(resources: Resources) -> None:
    clock = Late(0.001)
    quick = Depth(replace(resources, clock=clock), REGISTRY)
    slow = Depth(replace(resources, clock=Late(2.0)), REGISTRY)

    assert await quick.look() == INTERVAL
    assert await slow.look() == 2.0 / SHARE > INTERVAL


class Late(FakeClock):
    """So many seconds pass between one look at it and the next."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._step = seconds

    def monotonic(self) -> float:
        self.advance(self._step)
        return super().monotonic()


@pytest.mark.fault
async def test_numbers_of_a_database_that_has_gone_vanish_and_come_back(
    own_settings: TestSettings, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth_module, "SHARE", 1.0)  # else a look on a busy machine is told for half a minute
    async with open_resources(own_settings("database.acquire_timeout=1"), Lifecycle()) as resources:
        await enqueue(resources, WORK, 4)
        depth = Depth(resources, REGISTRY, interval=0.2)
        async with beside(depth.run(), name="depth"):
            await eventually(lambda: told(resources.metrics), within=20)
            await own_postgres.stop(Stop.FAST)
            with pytest.raises(ConnectionRefusedError):
                await asyncpg.connect(own_postgres.url)
            await eventually(lambda: not told(resources.metrics), within=20)
            gone = resources.metrics.registry.get_sample_value(*DUE)
            await own_postgres.restart()
            back = await eventually(lambda: resources.metrics.registry.get_sample_value(*DUE), within=20)

    assert (gone, back) == (None, 4)


DUE = ("plinth_tasks_queued", {"task_type": WORK.name, "state": "due"})
