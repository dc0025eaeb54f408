"""A child task is never inside its parent's transaction, and is told so."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import pytest

from app.core.database import Database, TransactionNotInherited

INSERT = "INSERT INTO shelves (label) VALUES (:label)"
COUNT = "SELECT count(*) FROM shelves"


async def insert(db: Database, label: str = "a") -> None:
    await db.execute(INSERT, {"label": label})


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
        async with asyncio.timeout(20):
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
