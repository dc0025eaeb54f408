"""What is inside a transaction, what is outside, and that nobody is mistaken about it."""

from __future__ import annotations

import contextlib

import asyncpg
import pytest

from app.core.database import Database, TransactionRolledBack

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
        await insert(shop)
        begun = await shop.fetch_val("SELECT pg_current_xact_id()::text")
        with pytest.raises(ValueError, match="savepoint"):
            async with shop.transaction(readonly=True):
                pass

        assert await shop.fetch_val("SELECT pg_current_xact_id()::text") == begun

    assert await shop.fetch_val(COUNT) == 1


async def test_a_generator_left_early_does_not_disturb_its_task(shop: Database) -> None:
    async for _ in shop.iterate("SELECT generate_series(1, 1000)"):
        break
    async with shop.transaction():
        async for _ in shop.iterate("SELECT generate_series(1, 1000)"):
            break
        await insert(shop)

    assert await shop.fetch_val(COUNT) == 1
