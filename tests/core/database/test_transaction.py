"""What is inside a transaction, what is outside, and that nobody is mistaken about it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from app.core.database import Database, TransactionNotInherited, TransactionRolledBack

INSERT = "INSERT INTO shelves (label) VALUES (:label)"
COUNT = "SELECT count(*) FROM shelves"


async def insert(db: Database, label: str = "a") -> None:
    await db.execute(INSERT, {"label": label})


async def test_the_end_of_the_block_commits(shop: Database) -> None:
    async with shop.transaction():
        await insert(shop)

    assert await shop.fetch_val(COUNT) == 1


async def test_an_exception_rolls_back_and_passes_on(shop: Database) -> None:
    async def work() -> None:
        async with shop.transaction():
            await insert(shop)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()

    assert await shop.fetch_val(COUNT) == 0


async def test_an_inner_transaction_is_a_savepoint(shop: Database) -> None:
    async def twice() -> None:
        async with shop.transaction():
            await insert(shop, "lost")
            await insert(shop, "kept")

    async with shop.transaction():
        await insert(shop, "kept")
        with pytest.raises(asyncpg.UniqueViolationError):
            await twice()
        async with shop.transaction(), shop.transaction():
            await insert(shop, "deep")

    rows = await shop.fetch_all("SELECT label FROM shelves ORDER BY label")
    assert [row["label"] for row in rows] == ["deep", "kept"]


async def test_an_error_swallowed_inside_does_not_pass_for_a_commit(shop: Database) -> None:
    async def work() -> None:
        async with shop.transaction():
            await insert(shop)
            with contextlib.suppress(asyncpg.UniqueViolationError):
                await insert(shop)

    with pytest.raises(TransactionRolledBack, match="Nothing of this transaction was stored"):
        await work()

    assert await shop.fetch_val(COUNT) == 0
    assert shop.stats().idle == shop.stats().size


async def test_start_commit_and_rollback_work_without_a_block(shop: Database) -> None:
    transaction = await shop.transaction().start()
    await insert(shop, "kept")
    await transaction.commit()
    transaction = await shop.transaction().start()
    await insert(shop, "lost")
    await transaction.rollback()

    assert await shop.fetch_val(COUNT) == 1


async def test_a_transaction_ends_once(shop: Database) -> None:
    transaction = await shop.transaction().start()
    await transaction.commit()

    with pytest.raises(RuntimeError, match="not open"):
        await transaction.commit()


async def test_an_outer_transaction_can_not_end_before_the_inner_one(shop: Database) -> None:
    outer = await shop.transaction().start()
    inner = await shop.transaction().start()

    with pytest.raises(RuntimeError, match="still open"):
        await outer.commit()

    await inner.commit()
    await outer.commit()


@pytest.mark.parametrize("level", ["read_committed", "repeatable_read", "serializable"])
async def test_the_level_of_isolation_reaches_the_server(shop: Database, level: str) -> None:
    async with shop.transaction(isolation=level):
        assert await shop.fetch_val("SELECT current_setting('transaction_isolation')") == level.replace("_", " ")


async def test_a_readonly_transaction_refuses_to_write(shop: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with shop.transaction(readonly=True):
            await insert(shop)


async def test_an_unknown_level_is_refused_before_anything_happens(shop: Database) -> None:
    with pytest.raises(ValueError, match="isolation is one of read_committed, repeatable_read, serializable"):
        shop.transaction(isolation="bogus")


async def test_an_inner_transaction_takes_no_options(shop: Database) -> None:
    async with shop.transaction():
        with pytest.raises(ValueError, match="savepoint"):
            async with shop.transaction(readonly=True):
                pass
        await insert(shop)

    assert await shop.fetch_val(COUNT) == 1


async def by_create_task(work: Awaitable[object]) -> None:
    await asyncio.ensure_future(work)


async def by_gather(work: Awaitable[object]) -> None:
    await asyncio.gather(work)


async def by_task_group(work: Awaitable[object]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work)  # type: ignore[arg-type]  # every one in here is a coroutine
    except ExceptionGroup as caught:
        raise caught.exceptions[0] from None


CHILDREN = [by_create_task, by_gather, by_task_group]


@pytest.mark.parametrize("child", CHILDREN)
async def test_a_query_in_a_child_task_of_a_transaction_is_refused(
    shop: Database, child: Callable[[Awaitable[object]], Awaitable[None]]
) -> None:
    async with shop.transaction():
        with pytest.raises(TransactionNotInherited):
            await child(insert(shop))


async def test_a_transaction_in_a_child_task_of_a_transaction_is_refused(shop: Database) -> None:
    async def work() -> None:
        async with shop.transaction():
            pass

    async with shop.transaction():
        with pytest.raises(TransactionNotInherited):
            await asyncio.create_task(work())


async def test_a_grandchild_is_no_different(shop: Database) -> None:
    async def middle() -> None:
        await asyncio.create_task(insert(shop))

    async with shop.transaction():
        with pytest.raises(TransactionNotInherited):
            await asyncio.create_task(middle())


async def test_wait_for_is_a_child_on_python_311_and_is_refused_there(shop: Database) -> None:
    async with shop.transaction():
        if sys.version_info < (3, 12):
            with pytest.raises(TransactionNotInherited):
                await asyncio.wait_for(insert(shop), 5)  # noqa: TID251  (what the ban is about)
        else:
            await asyncio.wait_for(insert(shop), 5)  # noqa: TID251  (what the ban is about)


async def test_a_deadline_in_the_same_task_is_inside(shop: Database) -> None:
    async with shop.transaction():
        async with asyncio.timeout(5):
            await insert(shop)

    assert await shop.fetch_val(COUNT) == 1


async def test_a_task_that_begins_its_work_after_the_transaction_is_fine(shop: Database) -> None:
    over = asyncio.Event()

    async def background() -> None:
        await over.wait()
        await insert(shop)

    async with shop.transaction():
        task = asyncio.create_task(background())
        await shop.fetch_val(COUNT)
    over.set()
    await task

    assert await shop.fetch_val(COUNT) == 1


async def test_a_task_that_is_older_than_the_transaction_is_fine(shop: Database) -> None:
    opened, done = asyncio.Event(), asyncio.Event()

    async def background() -> None:
        await opened.wait()
        await insert(shop)
        done.set()

    task = asyncio.create_task(background())
    async with shop.transaction():
        opened.set()
        await done.wait()
    await task

    assert await shop.fetch_val(COUNT) == 1


async def test_the_next_transaction_does_not_concern_a_task_of_the_last_one(shop: Database) -> None:
    opened, done = asyncio.Event(), asyncio.Event()

    async def background() -> None:
        await opened.wait()
        await insert(shop)
        done.set()

    async with shop.transaction():
        task = asyncio.create_task(background())
    async with shop.transaction():
        opened.set()
        await done.wait()
    await task

    assert await shop.fetch_val(COUNT) == 1


async def test_detached_work_of_a_child_task_stays_when_the_parent_rolls_back(shop: Database) -> None:
    async def audit() -> None:
        async with shop.detached():
            await insert(shop, "seen")

    async def work() -> None:
        async with shop.transaction():
            await insert(shop, "lost")
            await asyncio.create_task(audit())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()

    assert await shop.fetch_val("SELECT label FROM shelves") == "seen"


async def test_detached_work_in_the_same_task_is_outside_and_then_inside_again(shop: Database) -> None:
    async def work() -> None:
        async with shop.transaction():
            async with shop.detached(), shop.transaction():
                await insert(shop, "seen")
            await insert(shop, "lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()

    rows = await shop.fetch_all("SELECT label FROM shelves")
    assert [row["label"] for row in rows] == ["seen"]


async def test_another_database_is_not_concerned(shop: Database, db: Database) -> None:
    other = Database(db.settings)
    await other.connect()
    async with shop.transaction():
        assert await asyncio.create_task(other.fetch_val("SELECT 1")) == 1
    await other.disconnect()


async def test_a_generator_left_early_does_not_disturb_its_task(shop: Database) -> None:
    async for _ in shop.iterate("SELECT generate_series(1, 1000)"):
        break
    async with shop.transaction():
        async for _ in shop.iterate("SELECT generate_series(1, 1000)"):
            break
        await insert(shop)

    assert await shop.fetch_val(COUNT) == 1
