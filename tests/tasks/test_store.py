"""Every transition of a task, one statement at a time, against the real database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database
from app.core.ids import new_id
from app.core.queue import Event, Priority, Queue, Task, Waker
from app.tasks import store
from app.tasks.store import Claimed, Ending, Lane, Requeueing, Subscription


@dataclass(frozen=True)
class Nothing:
    """No payload."""


TASK = Task("test.work", Nothing)
BOUNDED = Task("test.bounded", Nothing, concurrency=1)
MOVED = Event("test.moved", Nothing, aggregate="thing")
SUBSCRIPTION = Subscription(MOVED.name, "test.hears", priority=0, max_retries=3)


async def enqueue(db: Database, count: int = 1, task: Task[Nothing] = TASK, **options: object) -> list[UUID]:
    queue = Queue(db, Waker(db))
    async with db.transaction():
        found = [await queue.enqueue(task, Nothing(), **options) for _ in range(count)]  # type: ignore[arg-type]
    return [each for each in found if each is not None]


async def claim(db: Database, lanes: Sequence[Lane] = (), *, worker: str = "w", lease: float = 30.0) -> list[Claimed]:
    lanes = lanes or [Lane(TASK.name, priority, room=100) for priority in Priority]
    return await store.claim(db, lanes, worker=worker, lease=lease, limit=100)


async def statuses(db: Database) -> list[str]:
    rows = await db.fetch_all("SELECT status FROM tasks UNION ALL SELECT status FROM finished_tasks ORDER BY 1")
    return [row["status"] for row in rows]


async def test_a_task_goes_from_pending_to_done(db: Database) -> None:
    [task_id] = await enqueue(db)

    [claimed] = await claim(db)
    assert await statuses(db) == ["running"]
    settled = await store.finish(db, [Ending(claimed.id, claimed.lease_seq)])

    assert claimed.id == task_id == settled[0].id
    assert await statuses(db) == ["done"]
    assert await claim(db) == []


async def test_who_has_lost_the_lease_changes_nothing(db: Database) -> None:
    await enqueue(db)
    [first] = await claim(db, lease=0.0)
    assert [each.id for each in await store.rescue(db, max_crashes=3)] == [first.id]
    [second] = await claim(db, worker="another")

    assert await store.finish(db, [Ending(first.id, first.lease_seq)]) == []
    assert await store.requeue(db, [Requeueing(first.id, first.lease_seq)]) == []
    assert await store.renew(db, [(first.id, first.lease_seq)], lease=30) == set()
    assert second.lease_seq == first.lease_seq + 1
    assert await store.renew(db, [(second.id, second.lease_seq)], lease=30) == {second.id}


async def test_three_lost_workers_are_a_poison_task(db: Database) -> None:
    [task_id] = await enqueue(db)
    fates = []
    for _ in range(3):
        assert len(await claim(db, lease=0.0)) == 1
        fates += [each.poison for each in await store.rescue(db, max_crashes=3)]

    assert fates == [False, False, True]
    dead = await db.fetch_existing("SELECT * FROM finished_tasks")
    assert (dead["id"], dead["status"], dead["crash_count"]) == (task_id, "dead", 3)
    assert "poison" in dead["last_error"]


async def test_what_was_lost_twice_comes_back_one_by_one(db: Database) -> None:
    """So that what was only near a task that kills its workers gets away from it."""
    await enqueue(db, 50)
    await claim(db, lease=0.0)
    await store.rescue(db, max_crashes=3, apart=3600)
    after_one = await claim(db, lease=0.0)

    await store.rescue(db, max_crashes=3, apart=3600)

    assert len(after_one) == 50
    waits = await db.fetch_all("SELECT DISTINCT run_at FROM tasks WHERE run_at > now() - interval '1 second'")
    assert len(waits) == 50
    assert len(await claim(db)) < 25


async def lost_twice(db: Database, *, ago: str) -> None:
    """Fifty tasks whose second lease ended so long ago."""
    await enqueue(db, 50)
    await claim(db, lease=0.0)
    lose = "UPDATE tasks SET crash_count = 1, locked_until = now() - CAST(:ago AS text)::interval"
    await db.execute(lose, {"ago": ago})


async def test_what_a_late_look_finds_shares_what_is_left_of_the_time_after_its_lease(db: Database) -> None:
    """The distances do not begin with the look: what runs again would be late by both."""
    await lost_twice(db, ago="45 minutes")

    await store.rescue(db, max_crashes=3, apart=3600)

    found = "SELECT count(DISTINCT run_at), max(run_at) < now() + interval '15 minutes' FROM tasks"
    assert tuple(await db.fetch_existing(found)) == (50, True)
    assert len(await claim(db)) < 25


async def test_what_a_look_finds_when_that_time_is_over_is_due_at_once(db: Database) -> None:
    await lost_twice(db, ago="61 minutes")

    await store.rescue(db, max_crashes=3, apart=3600)

    assert len(await claim(db)) == 50


async def test_a_bound_holds_for_all_workers_together(db: Database) -> None:
    await enqueue(db, 5, BOUNDED)
    lanes = [Lane(BOUNDED.name, 0, room=100, most=2)]

    taken = [len(await claim(db, lanes, worker=name)) for name in ("a", "b", "c")]

    assert taken == [2, 0, 0]
    assert await store.select_due_types(db, [BOUNDED.name, TASK.name]) == {BOUNDED.name}


async def test_what_a_lost_answer_has_claimed_is_given_back_without_a_crash(db: Database) -> None:
    await enqueue(db, 2)
    first, second = await claim(db)

    assert await store.disown(db, worker="w", known=[first.id]) == [second.id]
    assert [each.crash_count for each in await claim(db)] == [0]


async def test_events_of_one_aggregate_come_one_after_another(db: Database) -> None:
    queue = Queue(db, Waker(db))
    aggregate, another = new_id(), new_id()
    for each in (aggregate, aggregate, another):
        async with db.transaction():
            await queue.publish(MOVED, each, Nothing())
    lanes = [Lane(SUBSCRIPTION.name, 0, room=100)]

    moved = await store.move_events(db, [SUBSCRIPTION], known=[MOVED.name])
    assert moved is not None
    assert (moved.events, moved.tasks, len(moved.order_keys)) == (3, 3, 2)
    assert await store.promote(db, moved.order_keys) == 2
    claimed = await claim(db, lanes)
    assert len(claimed) == 2
    assert await store.promote(db, moved.order_keys) == 0
    settled = await store.finish(db, [Ending(each.id, each.lease_seq) for each in claimed])
    assert await store.promote(db, [each.order_key for each in settled if each.order_key]) == 1

    assert len(await claim(db, lanes)) == 1
    again = await store.move_events(db, [SUBSCRIPTION], known=[MOVED.name])
    assert again is not None
    assert again.events == 0


class Refusing:
    """A database in which others have promoted the same key, so many times in a row."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def fetch_all(self, *_: object) -> list[str]:
        self.left -= 1
        if self.left >= 0:
            raise asyncpg.UniqueViolationError("another one is on its way")
        return ["promoted"]


@pytest.mark.parametrize("times", [0, 1, 5])
async def test_a_look_that_is_refused_is_taken_again_as_often_as_that_happens(times: int) -> None:
    db = Refusing(times)

    assert await store.promote(db, ["a key"]) == 1  # type: ignore[arg-type]


async def test_a_dedupe_key_stands_for_one_task_until_it_has_ended(db: Database) -> None:
    assert len(await enqueue(db, 3, dedupe_key="once")) == 1
    [claimed] = await claim(db)
    assert await enqueue(db, dedupe_key="once") == []

    await store.finish(db, [Ending(claimed.id, claimed.lease_seq)])

    assert len(await enqueue(db, dedupe_key="once")) == 1


async def test_a_bound_holds_over_all_priorities(db: Database) -> None:
    for priority in Priority:
        await enqueue(db, 2, BOUNDED, priority=priority)
    lanes = [Lane(BOUNDED.name, priority, room=100, most=2) for priority in Priority]

    claimed = await claim(db, lanes)

    assert [each.priority for each in claimed] == [Priority.HIGH, Priority.HIGH]
