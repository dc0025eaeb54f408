"""What operators do to tasks and events, against the real database, and beside workers that do the same."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database, open_database
from app.core.ids import new_id
from app.core.queue import CHANNEL, Event, Priority, Queue, Task, Waker
from app.tasks import Delivery, Registry, Subscriber, operations, outbox, store
from app.tasks.store import Ending, Lane, Requeueing, Subscription
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

LONG = bool(os.environ.get("PLINTH_LONG"))


@dataclass(frozen=True)
class Nothing:
    """No payload."""


WORK = Task("test.work", Nothing)
OTHER = Task("test.other", Nothing)
MOVED = Event("test.moved", Nothing, aggregate="thing")
HEARS = Subscription(MOVED.name, "test.hears", priority=0, max_retries=3)


async def hear(_: Delivery[Nothing]) -> None:
    """Never called here."""


REGISTRY = Registry(subscribers=[Subscriber(MOVED, "test.hears", hear), Subscriber(MOVED, "test.listens", hear)])
LANES = [Lane(name, priority, room=1000) for name in (WORK.name, OTHER.name) for priority in Priority]
DELIVERIES = [Lane(HEARS.name, 0, room=1000)]


async def enqueue(db: Database, count: int = 1, task: Task[Nothing] = WORK, **options: object) -> list[UUID]:
    queue = Queue(db, Waker(db))
    async with db.transaction():
        found = [await queue.enqueue(task, Nothing(), **options) for _ in range(count)]  # type: ignore[arg-type]
    return [each for each in found if each is not None]


async def claim(db: Database, lanes: Sequence[Lane] = LANES) -> list[store.Claimed]:
    return await store.claim(db, lanes, worker="w", lease=60, limit=1000)


async def end(db: Database, status: str, lanes: Sequence[Lane] = LANES) -> list[UUID]:
    """Run whatever is due, and let it end so."""
    claimed = await claim(db, lanes)
    error = None if status == "done" else "ValueError: no\nline 7"
    await store.finish(db, [Ending(each.id, each.lease_seq, status, error) for each in claimed])
    return [each.id for each in claimed]


async def publish(db: Database, aggregate: UUID, count: int = 1) -> list[UUID]:
    queue = Queue(db, Waker(db))
    async with db.transaction():
        return [await queue.publish(MOVED, aggregate, Nothing()) for _ in range(count)]


async def hand_on(db: Database) -> None:
    moved = await store.move_events(db, [HEARS], known=[MOVED.name])
    assert moved is not None
    await store.promote(db, moved.order_keys)


async def places(db: Database) -> dict[UUID, list[str]]:
    """Every row of each id, in both tables."""
    rows = await db.fetch_all("SELECT id, status FROM tasks UNION ALL SELECT id, status FROM finished_tasks")
    found: dict[UUID, list[str]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row["status"])
    return found


async def test_a_list_has_what_is_not_done_newest_first_and_goes_on_behind_a_row(db: Database) -> None:
    dead = await enqueue(db)
    await end(db, "dead")
    done = await enqueue(db)
    await end(db, "done")
    rest = await enqueue(db, 4)

    first = await operations.list_tasks(db, limit=3)
    second = await operations.list_tasks(db, limit=3, before=first[-1].id)

    assert [each.id for each in (*first, *second)] == [*reversed(rest), *dead]
    assert second[-1].error == "ValueError: no"
    assert [each.id for each in await operations.list_tasks(db, statuses=["done"])] == done
    assert await operations.list_tasks(db, task_type=OTHER.name) == []


async def test_tasks_are_counted_by_type_and_state(db: Database) -> None:
    await enqueue(db, 2)
    await end(db, "dead")
    await enqueue(db, 3, OTHER)
    await enqueue(db, 1, OTHER, delay=3600)

    counts = {each.task_type: each for each in await operations.count_tasks(db)}

    assert (counts[WORK.name].dead, counts[WORK.name].pending, counts[WORK.name].oldest_due_at) == (2, 0, None)
    assert (counts[OTHER.name].dead, counts[OTHER.name].pending) == (0, 4)
    assert counts[OTHER.name].oldest_due_at is not None


async def test_a_dead_task_begins_again_and_its_old_worker_is_fenced_off(db: Database) -> None:
    [task_id] = await enqueue(db, dedupe_key="k")
    [first] = await claim(db)
    await store.requeue(db, [Requeueing(first.id, first.lease_seq, delay=0, failed=True, error="once")])
    await end(db, "dead")
    before = await operations.show_task(db, task_id)

    outcome = await operations.retry_tasks(db, [task_id])

    after = await operations.show_task(db, task_id)
    assert (outcome.done, outcome.refused) == ([task_id], {})
    assert (before.status, before.retry_count, before.lease_seq) == ("dead", 1, 2)
    assert (after.status, after.retry_count, after.crash_count, after.lease_seq) == ("pending", 0, 0, 2)
    assert (after.dedupe_key, after.created_at) == ("k", before.created_at)
    [again] = await claim(db)
    assert again.lease_seq == 3
    assert await store.finish(db, [Ending(first.id, first.lease_seq)]) == []


async def test_what_cannot_be_retried_is_refused_and_stays(db: Database) -> None:
    [dead] = await enqueue(db, dedupe_key="k")
    await end(db, "dead")
    [done] = await enqueue(db)
    await end(db, "done")
    [standing] = await enqueue(db, dedupe_key="k")
    unknown = new_id()

    outcome = await operations.retry_tasks(db, [dead, done, standing, unknown])

    assert outcome.done == []
    assert {each: type(error) for each, error in outcome.refused.items()} == {
        dead: operations.KeyIsTaken,
        done: operations.NotRetryable,
        standing: operations.NotRetryable,
        unknown: operations.NoSuchTask,
    }
    assert await places(db) == {dead: ["dead"], done: ["done"], standing: ["pending"]}


async def test_all_dead_ones_of_a_type_are_retried_in_batches(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BATCH", 3)
    await enqueue(db, 8)
    [_] = await enqueue(db, 1, OTHER)
    await end(db, "dead")
    await enqueue(db, 1, dedupe_key="k")
    await end(db, "dead")
    [standing] = await enqueue(db, 1, dedupe_key="k")

    outcome = await operations.retry_dead(db, task_type=WORK.name)

    statuses = [status for each in (await places(db)).values() for status in each]
    assert (len(outcome.done), len(outcome.refused)) == (8, 1)
    assert sorted(statuses) == ["dead", "dead", *["pending"] * 9]
    assert standing not in outcome.done


async def test_a_cancelled_running_task_is_its_workers_no_more(db: Database, database_url: str) -> None:
    heard: list[object] = []
    connection = await asyncpg.connect(database_url)
    await connection.add_listener(CHANNEL, lambda *told: heard.append(told[-1]))
    running, waiting = await enqueue(db, 2)
    claimed = {each.id: each for each in await claim(db)}
    await store.requeue(db, [Requeueing(waiting, claimed[waiting].lease_seq)])

    outcome = await operations.cancel_tasks(db, [running, waiting])

    assert sorted(outcome.done) == sorted([running, waiting])
    assert await places(db) == {running: ["cancelled"], waiting: ["cancelled"]}
    lease = (running, claimed[running].lease_seq)
    assert await store.renew(db, [lease], lease=30) == set()
    assert await store.finish(db, [Ending(*lease)]) == []
    assert await store.requeue(db, [Requeueing(*lease)]) == []
    await eventually(lambda: heard == [f"cancel:{running}"], within=10)
    await connection.close()


async def test_what_has_ended_cannot_be_cancelled(db: Database) -> None:
    [task_id] = await enqueue(db)
    await end(db, "done")
    unknown = new_id()

    outcome = await operations.cancel_tasks(db, [task_id, unknown])

    assert {each: type(error) for each, error in outcome.refused.items()} == {
        task_id: operations.TaskHasEnded,
        unknown: operations.NoSuchTask,
    }
    assert await places(db) == {task_id: ["done"]}


async def test_a_whole_type_is_cancelled_in_batches(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BATCH", 3)
    await enqueue(db, 5)
    await claim(db)
    await enqueue(db, 5)
    [other] = await enqueue(db, 1, OTHER)

    outcome = await operations.cancel_type(db, WORK.name)

    assert len(outcome.done) == 10
    assert {each: status for each, [status] in (await places(db)).items() if status != "cancelled"} == {
        other: "pending"
    }


async def test_a_task_that_is_locked_is_waited_for(db: Database, settings: TestSettings) -> None:
    """A batch passes over what a worker is changing; it must not be forgotten."""
    first, second = await enqueue(db, 2)
    async with open_database(settings().database) as another:
        async with another.transaction():
            await another.execute("SELECT id FROM tasks WHERE id = :id FOR UPDATE", {"id": first})
            cancelling = asyncio.create_task(operations.cancel_tasks(db, [first, second]))
            await eventually(lambda: cancelled(another, second), within=10)
            assert not cancelling.done()
        outcome = await cancelling

    assert outcome.done == [second, first]


async def cancelled(db: Database, task_id: UUID) -> bool:
    return "cancelled" in (await places(db)).get(task_id, [])


async def test_the_next_of_an_order_goes_on_when_the_first_is_cancelled(db: Database) -> None:
    await publish(db, new_id(), 2)
    await hand_on(db)
    [first] = await claim(db, DELIVERIES)

    await operations.cancel_tasks(db, [first.id])

    [second] = await claim(db, DELIVERIES)
    assert second.order_key == first.order_key


async def test_a_retried_delivery_waits_for_the_one_that_has_gone_ahead_and_comes_before_the_rest(db: Database) -> None:
    await publish(db, new_id(), 3)
    await hand_on(db)
    [dead] = await end(db, "dead", DELIVERIES)
    await store.promote_all(db)
    [ahead] = await claim(db, DELIVERIES)

    await operations.retry_tasks(db, [dead])
    assert await store.promote_all(db) == 0
    assert await claim(db, DELIVERIES) == []
    assert (await operations.show_task(db, dead)).status == "waiting"
    await store.finish(db, [Ending(ahead.id, ahead.lease_seq)])
    await store.promote(db, [str(ahead.order_key)])

    assert [each.id for each in await claim(db, DELIVERIES)] == [dead]


async def test_many_dead_deliveries_of_one_aggregate_are_retried_one_after_another(db: Database) -> None:
    await publish(db, new_id(), 5)
    await hand_on(db)
    deaths = []
    for _ in range(5):
        deaths += await end(db, "dead", DELIVERIES)
        await store.promote_all(db)

    await operations.retry_dead(db)
    order = []
    while found := await claim(db, DELIVERIES):
        assert len(found) == 1
        order.append(found[0].id)
        await store.finish(db, [Ending(found[0].id, found[0].lease_seq)])
        await store.promote_all(db)

    assert len(deaths) == 5
    assert order == deaths


async def test_purging_takes_only_what_was_asked_for(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "PURGED", 2)
    await enqueue(db, 5)
    await end(db, "dead")
    before = await operations.database_time(db)
    await enqueue(db, 1)
    await end(db, "dead")
    [done] = await enqueue(db)
    await end(db, "done")

    assert await operations.count_purgeable(db, status="dead", before=before) == 5
    assert await operations.purge_tasks(db, status="dead", before=before, task_type=OTHER.name) == 0
    assert await operations.purge_tasks(db, status="dead", before=before, most=3) == 3
    assert await operations.purge_tasks(db, status="dead", before=before) == 2

    assert sorted(status for [status] in (await places(db)).values()) == ["dead", "done"]
    assert done in await places(db)


async def test_an_event_is_shown_with_what_became_of_it(db: Database) -> None:
    [event_id] = await publish(db, new_id())
    assert (await outbox.outbox_state(db)).unprocessed == 1
    assert (await outbox.show_event(db, event_id)).deliveries == []
    await hand_on(db)
    [dead] = await end(db, "dead", DELIVERIES)

    found, state = await outbox.show_event(db, event_id), await outbox.outbox_state(db)

    [delivery] = found.deliveries
    assert (delivery.task_id, delivery.handler, delivery.status) == (dead, HEARS.name, "dead")
    assert (delivery.error, found.dealt_with) == ("ValueError: no", [])
    assert (state.unprocessed, state.deliveries, state.dead_deliveries) == (0, 0, 1)


async def test_an_event_is_handed_on_again_to_all_or_one(db: Database) -> None:
    [event_id] = await publish(db, new_id())
    with pytest.raises(outbox.NotHandedOn):
        await outbox.redeliver(db, REGISTRY, event_id)
    await hand_on(db)
    await end(db, "done", DELIVERIES)

    one = await outbox.redeliver(db, REGISTRY, event_id, handler="test.listens")
    rest = await outbox.redeliver(db, REGISTRY, event_id)

    assert [each.handler for each in (*one, *rest)] == ["test.listens", "test.hears"]
    with pytest.raises(outbox.NothingToDeliver):
        await outbox.redeliver(db, REGISTRY, event_id)
    with pytest.raises(outbox.NoSuchSubscriber, match=r"test\.hears, test\.listens"):
        await outbox.redeliver(db, REGISTRY, event_id, handler="test.nobody")
    with pytest.raises(outbox.NoSuchEvent):
        await outbox.redeliver(db, REGISTRY, new_id())
    [claimed] = await claim(db, DELIVERIES)
    assert claimed.payload == {
        "event_id": str(event_id),
        "aggregate_id": str((await outbox.show_event(db, event_id)).event.aggregate_id),
        "data": {},
    }


async def test_two_redeliveries_at_once_make_one_task(db: Database) -> None:
    [event_id] = await publish(db, new_id())
    await hand_on(db)
    await end(db, "done", DELIVERIES)

    answers = await asyncio.gather(
        *(outbox.redeliver(db, REGISTRY, event_id, handler="test.hears") for _ in range(6)), return_exceptions=True
    )

    assert [type(each) for each in answers if not isinstance(each, list)] == [outbox.NothingToDeliver] * 5
    assert len(await claim(db, DELIVERIES)) == 1


async def waits_for_a_lock(db: Database) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await db.fetch_val(waiting))


TASKS, ROUNDS = (200, 300) if LONG else (20, 40)


async def test_no_task_is_lost_or_doubled_while_operators_and_workers_disagree(db: Database) -> None:
    """Cancel, retry, claim, finish, requeue and rescue at once: each id has exactly one row at every moment."""
    ids = await enqueue(db, TASKS)
    ordered = await publish(db, new_id(), 5)
    await hand_on(db)
    ids += [each.id for each in await operations.list_tasks(db, statuses=["waiting", "pending"], task_type=HEARS.name)]
    assert len(ids) == TASKS + len(ordered)
    seen = {"cancelled": 0, "retried": 0, "finished": 0}
    stop = asyncio.Event()

    async def operate(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311  (a test's own dice)
        for _ in range(ROUNDS):
            chosen = dice.sample(ids, 5)
            seen["cancelled"] += len((await operations.cancel_tasks(db, chosen)).done)
            chosen = dice.sample(ids, 10)
            seen["retried"] += len((await operations.retry_tasks(db, chosen)).done)

    async def run(name: str) -> None:
        dice = random.Random(name)  # noqa: S311  (a test's own dice)
        while not stop.is_set():
            held = await store.claim(db, [*LANES, *DELIVERIES], worker=name, lease=30, limit=7)
            dice.shuffle(held)
            again = [Requeueing(each.id, each.lease_seq) for each in held[:2]]
            keys = [each.order_key for each in await store.requeue(db, again) if each.order_key]
            endings = [Ending(each.id, each.lease_seq, dice.choice(("dead", "done"))) for each in held[2:]]
            settled = await store.finish(db, endings)
            seen["finished"] += len(settled)
            await store.promote(db, keys + [each.order_key for each in settled if each.order_key])
            await store.promote_all(db)

    async def watch() -> None:
        while not stop.is_set():
            found = await places(db)
            assert set(found) == set(ids)
            assert max(map(len, found.values())) == 1
            on_their_way = "SELECT count(*) FROM tasks WHERE order_key IS NOT NULL AND status <> 'waiting'"
            assert await db.fetch_val(on_their_way) <= 1

    workers = [asyncio.create_task(work) for work in (run("a"), run("b"), watch())]
    await asyncio.gather(operate(1), operate(2))
    stop.set()
    await asyncio.gather(*workers)

    assert set(await places(db)) == set(ids)
    assert min(seen.values()) > 0, seen


async def test_control_without_the_index_two_of_one_order_would_run_at_once(db: Database) -> None:
    """The database refuses it, whatever the looks for the next one have seen."""
    await publish(db, new_id(), 2)
    await hand_on(db)

    with pytest.raises(asyncpg.UniqueViolationError, match="uq_tasks_order_active"):
        await db.execute("UPDATE tasks SET status = 'pending'")
    await db.execute("DROP INDEX uq_tasks_order_active")
    await db.execute("UPDATE tasks SET status = 'pending'")

    assert len(await claim(db, DELIVERIES)) == 2


async def test_two_looks_at_once_agree_on_one(db: Database, settings: TestSettings) -> None:
    """A look that began before a retry chooses the task behind it; it is refused, and looks again."""
    aggregate = new_id()
    await publish(db, aggregate, 2)
    await hand_on(db)
    [dead] = await end(db, "dead", DELIVERIES)  # and nobody has looked for the next one yet
    [second] = await operations.list_tasks(db, statuses=["waiting"])
    async with open_database(replace(settings().database, pool_min=1, pool_max=1)) as another:
        async with another.transaction():
            await another.execute("UPDATE tasks SET status = 'pending' WHERE id = :id", {"id": second.id})
            retrying = asyncio.create_task(operations.retry_tasks(db, [dead]))
            await eventually(lambda: waits_for_a_lock(another), within=10)
        outcome = await retrying

    assert outcome.done == [dead]
    assert [each.id for each in await claim(db, DELIVERIES)] == [second.id]
