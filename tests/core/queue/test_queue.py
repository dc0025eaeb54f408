"""Asking for work: it exists exactly when the transaction that needs it commits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog

from app.core.database import Database, NoTransaction, TransactionNotInherited
from app.core.ids import new_id
from app.core.queue import Priority, Queue
from tests.core.queue.asked import GREET, GREETED, Greeting
from tests.harness.waiting import eventually

ADA = Greeting("Ada")
SOON = datetime(2099, 1, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))

Ask = Callable[[Queue], Awaitable[object]]
ASKS: dict[str, Ask] = {
    "enqueue": lambda queue: queue.enqueue(GREET, ADA),
    "enqueue_many": lambda queue: queue.enqueue_many(GREET, [ADA]),
    "publish": lambda queue: queue.publish(GREETED, new_id(), ADA),
}
each_way = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())


async def tasks(db: Database) -> list[Any]:
    return await db.fetch_all("SELECT *, run_at - created_at AS ahead FROM tasks ORDER BY id")


async def asked_for(db: Database) -> int:
    found: int = await db.fetch_val("SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM outbox)")
    return found


async def test_a_task_is_stored_as_it_was_declared(db: Database, queue: Queue) -> None:
    async with db.transaction():
        task_id = await queue.enqueue(GREET, Greeting("Ada", times=2))

    [row] = await tasks(db)
    assert row["id"] == task_id
    assert (row["task_type"], row["status"], row["payload"]) == ("test.greet", "pending", {"name": "Ada", "times": 2})
    assert (row["priority"], row["max_retries"], row["retry_count"], row["lease_seq"]) == (-1, 3, 0, 0)
    assert (row["dedupe_key"], row["order_key"], row["context"]) == (None, None, {})
    assert GREET.decode(row["payload"]) == Greeting("Ada", times=2)


async def test_ids_are_in_the_order_in_which_it_was_asked(db: Database, queue: Queue) -> None:
    async with db.transaction():
        first = await queue.enqueue(GREET, ADA)
        many = await queue.enqueue_many(GREET, [Greeting(str(number)) for number in range(500)])

    rows = await tasks(db)
    assert [row["id"] for row in rows] == [first, *many]
    assert [row["payload"]["name"] for row in rows[1:]] == [str(number) for number in range(500)]


async def test_nothing_asked_for_is_nothing_done(db: Database, queue: Queue) -> None:
    async with db.transaction():
        assert await queue.enqueue_many(GREET, []) == []

    assert await tasks(db) == []


async def test_a_delay_counts_from_now_and_not_from_the_beginning_of_the_transaction(
    db: Database, queue: Queue
) -> None:
    async with db.transaction():
        began = await db.fetch_val("SELECT now()")
        await db.fetch_val("SELECT pg_sleep(0.05)")
        await queue.enqueue(GREET, ADA)
        await queue.enqueue(GREET, ADA, delay=90)
        await queue.enqueue_many(GREET, [ADA], delay=90)

    now, *later = [row["run_at"] - began for row in await tasks(db)]
    assert timedelta(seconds=0.05) <= now < timedelta(seconds=60)
    assert all(timedelta(seconds=90.05) <= each < timedelta(seconds=150) for each in later)


async def test_a_moment_is_the_same_in_every_zone(db: Database, queue: Queue) -> None:
    async with db.transaction():
        await queue.enqueue(GREET, ADA, run_at=SOON)

    [row] = await tasks(db)
    assert row["run_at"] == datetime(2099, 1, 1, 10, 0, tzinfo=UTC)


async def test_a_priority_may_be_given_instead_of_the_declared_one(db: Database, queue: Queue) -> None:
    async with db.transaction():
        await queue.enqueue(GREET, ADA)
        await queue.enqueue(GREET, ADA, priority=Priority.NORMAL)
        await queue.enqueue_many(GREET, [ADA], priority=Priority.HIGH)

    assert [row["priority"] for row in await tasks(db)] == [-1, 0, 1]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"run_at": SOON.replace(tzinfo=None)}, "run_at has no zone"),
    ({"run_at": SOON, "delay": 1.0}, "give it or run_at"),
    ({"delay": -1.0}, "delay is in seconds from 0"),
    ({"dedupe_key": ""}, "1 to 500 characters, not 0"),
    ({"dedupe_key": "k" * 501}, "1 to 500 characters, not 501"),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG)
async def test_what_can_not_be_meant_is_refused_and_leaves_the_transaction_usable(
    db: Database, queue: Queue, options: dict[str, Any], sentence: str
) -> None:
    async with db.transaction():
        with pytest.raises(ValueError, match=sentence):
            await queue.enqueue(GREET, ADA, **options)
        await queue.enqueue(GREET, Greeting("kept"))

    assert [row["payload"]["name"] for row in await tasks(db)] == ["kept"]


async def test_an_event_is_stored_with_its_aggregate(db: Database, queue: Queue) -> None:
    person = new_id()
    async with db.transaction():
        first = await queue.publish(GREETED, person, ADA)
        second = await queue.publish(GREETED, person, Greeting("Ada", times=2))

    rows = await db.fetch_all("SELECT * FROM outbox ORDER BY position")
    assert [row["id"] for row in rows] == [first, second]
    assert {(row["aggregate_type"], row["aggregate_id"], row["event_type"]) for row in rows} == {
        ("person", person, "test.greeted")
    }
    assert [GREETED.decode(row["payload"]).times for row in rows] == [1, 2]
    assert {row["processed_at"] for row in rows} == {None}


async def test_the_work_carries_the_request_that_asked_for_it(db: Database, queue: Queue) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1", user_id="not to be carried"):
        async with db.transaction():
            await queue.enqueue(GREET, ADA)
            await queue.publish(GREETED, new_id(), ADA)

    found = await db.fetch_all("SELECT context FROM tasks UNION ALL SELECT context FROM outbox")
    assert [row["context"] for row in found] == [{"request_id": "r-1"}] * 2


@each_way
async def test_outside_a_transaction_it_is_refused(db: Database, queue: Queue, ask: Ask) -> None:
    with pytest.raises(NoTransaction, match="needs an open transaction"):
        await ask(queue)
    async with db.connection():  # a connection is no transaction
        with pytest.raises(NoTransaction):
            await ask(queue)

    assert await asked_for(db) == 0


@each_way
async def test_in_a_child_task_it_is_refused(db: Database, queue: Queue, ask: Ask) -> None:
    async def child() -> None:
        await ask(queue)

    async with db.transaction():
        for start in (asyncio.create_task, asyncio.gather):
            with pytest.raises(TransactionNotInherited):
                await start(child())

    assert await asked_for(db) == 0


@each_way
async def test_a_child_with_a_transaction_of_its_own_beside_the_parents_is_no_way_around(
    db: Database, queue: Queue, ask: Ask
) -> None:
    async def child() -> None:
        async with db.transaction():
            await ask(queue)

    async with db.transaction():
        with pytest.raises(TransactionNotInherited):
            await asyncio.create_task(child())

    assert await asked_for(db) == 0


@each_way
async def test_a_rollback_takes_it_along(db: Database, queue: Queue, ask: Ask) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with db.transaction():
            await ask(queue)
            assert await asked_for(db) == 1
            raise ZeroDivisionError

    assert await asked_for(db) == 0


@each_way
async def test_a_savepoint_that_is_rolled_back_takes_its_own_along(db: Database, queue: Queue, ask: Ask) -> None:
    async with db.transaction():
        kept = await queue.enqueue(GREET, ADA)
        with contextlib.suppress(ZeroDivisionError):
            async with db.transaction():
                await ask(queue)
                raise ZeroDivisionError

    assert await asked_for(db) == 1
    assert [row["id"] for row in await tasks(db)] == [kept]


@each_way
async def test_nobody_sees_it_before_the_commit(db: Database, queue: Queue, ask: Ask) -> None:
    async with db.transaction():
        await ask(queue)
        async with db.detached() as beside:
            assert await beside.fetch_val("SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM outbox)") == 0

    assert await asked_for(db) == 1


async def test_a_refused_payload_asks_for_nothing_and_leaves_the_transaction_usable(db: Database, queue: Queue) -> None:
    mixed: list[Any] = [ADA, {"name": "Ada"}]

    async with db.transaction():
        with pytest.raises(TypeError, match=r"test\.greet takes Greeting"):
            await queue.enqueue_many(GREET, mixed)
        await queue.enqueue(GREET, ADA)

    assert await asked_for(db) == 1


async def test_of_two_with_one_dedupe_key_the_first_stands_for_both(db: Database, queue: Queue) -> None:
    async with db.transaction():
        first = await queue.enqueue(GREET, ADA, dedupe_key="k")
        second = await queue.enqueue(GREET, Greeting("another"), dedupe_key="k")
        other = await queue.enqueue(GREET, ADA, dedupe_key="l")
        await queue.enqueue(GREET, ADA)  # without a key nothing is the same
        await queue.enqueue(GREET, ADA)

    assert second is None
    assert [row["id"] for row in await tasks(db)][:2] == [first, other]
    assert len(await tasks(db)) == 4


class Rival:
    """A task that asks with the same key in a transaction of its own, while the test's is open."""

    def __init__(self, db: Database, queue: Queue) -> None:
        self._db, self._queue = db, queue
        self.pid: int | None = None
        self.task = asyncio.create_task(self._ask())

    async def _ask(self) -> UUID | None:
        async with self._db.transaction():
            self.pid = await self._db.fetch_val("SELECT pg_backend_pid()")
            return await self._queue.enqueue(GREET, Greeting("rival"), dedupe_key="k")

    async def waits(self) -> bool:
        """Whether the server says so: it can't know yet which of the two will be."""
        async with self._db.detached() as beside:
            asked = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = :pid"
            return bool(await beside.fetch_val(asked, {"pid": self.pid}) == "Lock")


@pytest.mark.parametrize("commits", [True, False])
async def test_of_two_transactions_with_one_dedupe_key_the_second_waits_for_the_first(
    db: Database, queue: Queue, *, commits: bool
) -> None:
    transaction = await db.transaction().start()
    mine = await queue.enqueue(GREET, ADA, dedupe_key="k")
    async with db.detached():  # the rival is nobody's child: it begins outside of any transaction
        rival = Rival(db, queue)
    await eventually(rival.waits, within=20)

    await (transaction.commit() if commits else transaction.rollback())
    theirs = await rival.task

    assert (theirs is None) == commits
    assert [row["id"] for row in await tasks(db)] == [mine if commits else theirs]


async def test_the_events_of_one_aggregate_are_committed_in_the_order_of_their_numbers(
    db: Database, queue: Queue
) -> None:
    person = new_id()
    order: list[str] = []

    async def second() -> None:
        async with db.transaction():
            await queue.publish(GREETED, person, Greeting("second"))
            order.append("second published")

    async with db.transaction():
        await queue.publish(GREETED, person, Greeting("first"))
        async with db.detached():
            waiting = asyncio.create_task(second())
            held = """
                SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"""
            await eventually(lambda: db.fetch_val(held), within=20)
        order.append("first commits")
    await waiting

    assert order == ["first commits", "second published"]
    rows = await db.fetch_all("SELECT payload FROM outbox ORDER BY position")
    assert [row["payload"]["name"] for row in rows] == ["first", "second"]


async def test_another_aggregate_does_not_wait(db: Database, queue: Queue) -> None:
    async with db.transaction():
        await queue.publish(GREETED, new_id(), ADA)
        async with db.detached(), db.transaction():
            await db.execute("SET LOCAL lock_timeout = '2s'")
            await queue.publish(GREETED, new_id(), ADA)

    assert await asked_for(db) == 2


async def test_a_refusal_of_the_database_is_told_and_nothing_is_asked_for(db: Database, queue: Queue) -> None:
    await db.execute("ALTER TABLE tasks ADD CONSTRAINT ck_tasks_test CHECK (task_type <> 'test.greet')")

    with pytest.raises(asyncpg.CheckViolationError):
        async with db.transaction():
            await queue.enqueue(GREET, ADA)

    assert await asked_for(db) == 0
