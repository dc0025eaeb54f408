"""What is called after a COMMIT: never before it, never without it, and without harm to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from app.core.database import (
    ConnectionTrouble,
    Database,
    NoTransaction,
    TransactionNotInherited,
    TransactionRolledBack,
    open_database,
)
from app.embedded import PostgresServer
from tests.core.database.tables import create_tables
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.settings import TestSettings

INSERT = "INSERT INTO shelves (label) VALUES (:label)"
COUNT = "SELECT count(*) FROM shelves"
CHECKED_AT_COMMIT = """
    CREATE TABLE late (id integer CONSTRAINT late_once UNIQUE DEFERRABLE INITIALLY DEFERRED)
"""


class Called:
    """Calls to be registered, and those that were made."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def by(self, name: str, db: Database) -> None:
        db.open_transaction().after_commit(lambda: self.names.append(name))


@pytest.fixture
def called() -> Called:
    return Called()


async def test_calls_come_after_the_commit_in_their_order(shop: Database, called: Called) -> None:
    async with shop.transaction():
        called.by("first", shop)
        called.by("second", shop)
        inside = called.names.copy()

    assert inside == []
    assert called.names == ["first", "second"]


async def test_a_call_finds_its_transaction_stored_and_closed(shop: Database) -> None:
    found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    async with shop.transaction() as transaction:
        transaction.after_commit(lambda: found.set_result(transaction.is_open))
        await shop.execute(INSERT, {"label": "a"})

    assert found.result() is False
    assert await shop.fetch_val(COUNT) == 1


async def test_a_rollback_calls_nothing(shop: Database, called: Called) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with shop.transaction():
            called.by("lost", shop)
            raise ZeroDivisionError
    async with shop.transaction():
        called.by("next", shop)

    assert called.names == ["next"]


async def test_a_savepoint_waits_for_the_outermost_commit_and_keeps_the_order(shop: Database, called: Called) -> None:
    async with shop.transaction():
        called.by("1", shop)
        async with shop.transaction():
            called.by("2", shop)
            async with shop.transaction():
                called.by("3", shop)
        called.by("4", shop)
        inside = called.names.copy()

    assert inside == []
    assert called.names == ["1", "2", "3", "4"]


async def test_a_savepoint_that_is_undone_takes_its_calls_along(shop: Database, called: Called) -> None:
    async with shop.transaction():
        called.by("kept", shop)
        with contextlib.suppress(ZeroDivisionError):
            async with shop.transaction():
                async with shop.transaction():
                    called.by("released into what is undone", shop)
                called.by("undone", shop)
                raise ZeroDivisionError

    assert called.names == ["kept"]


async def test_a_released_savepoint_calls_nothing_where_the_outermost_is_undone(shop: Database, called: Called) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with shop.transaction():
            async with shop.transaction():
                called.by("lost", shop)
            raise ZeroDivisionError

    assert called.names == []


async def test_a_commit_that_is_refused_calls_nothing(shop: Database, called: Called) -> None:
    await shop.execute(CHECKED_AT_COMMIT)

    async def work() -> None:
        async with shop.transaction():
            await shop.execute("INSERT INTO late VALUES (1), (1)")
            called.by("lost", shop)

    with pytest.raises(asyncpg.UniqueViolationError):
        await work()

    assert called.names == []


async def test_a_commit_that_is_answered_with_a_rollback_calls_nothing(shop: Database, called: Called) -> None:
    async def work() -> None:
        async with shop.transaction():
            called.by("lost", shop)
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await shop.fetch_val("SELECT 1 / 0")

    with pytest.raises(TransactionRolledBack):
        await work()

    assert called.names == []


async def test_a_call_that_raises_is_logged_and_harms_neither_the_commit_nor_the_others(
    shop: Database, called: Called
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with shop.transaction() as transaction:
            transaction.after_commit(fail)
            called.by("next", shop)
            await shop.execute(INSERT, {"label": "a"})

    assert called.names == ["next"]
    assert await shop.fetch_val(COUNT) == 1
    assert [(line["event"], line["log_level"]) for line in logs] == [("after_commit_failed", "error")]
    assert shop.stats().idle == shop.stats().size


async def test_a_transaction_without_a_block_calls_too(shop: Database, called: Called) -> None:
    transaction = await shop.transaction().start()
    called.by("kept", shop)
    await transaction.commit()
    transaction = await shop.transaction().start()
    called.by("lost", shop)
    await transaction.rollback()

    assert called.names == ["kept"]


async def test_the_open_transaction_is_the_innermost_one(shop: Database) -> None:
    async with shop.transaction() as outer:
        async with shop.transaction() as inner:
            assert shop.open_transaction() is inner
        assert shop.open_transaction() is outer


async def test_without_one_open_there_is_no_transaction_to_give(shop: Database) -> None:
    with pytest.raises(NoTransaction, match="needs an open transaction"):
        shop.open_transaction()
    async with shop.connection():
        with pytest.raises(NoTransaction):
            shop.open_transaction()
    async with shop.transaction():
        pass
    with pytest.raises(NoTransaction):
        shop.open_transaction()


async def test_a_child_task_is_not_given_its_parents(shop: Database) -> None:
    async def child() -> None:
        shop.open_transaction()

    async with shop.transaction():
        with pytest.raises(TransactionNotInherited):
            await asyncio.create_task(child())


async def test_work_beside_the_transaction_is_not_given_it(shop: Database) -> None:
    async with shop.transaction(), shop.detached():
        with pytest.raises(NoTransaction):
            shop.open_transaction()


class CommitCut:
    """A database behind a proxy, to which a COMMIT may get without its answer coming back."""

    def __init__(self, db: Database, proxy: Proxy) -> None:
        self.db, self.proxy = db, proxy


@pytest.fixture
async def behind_proxy(own_settings: TestSettings, own_postgres: PostgresServer) -> AsyncIterator[CommitCut]:
    async with open_proxy("127.0.0.1", own_postgres.port) as proxy:
        settings = own_settings(f"database.url={proxy.url(own_postgres.url)}")
        async with open_database(settings.database) as db:
            await create_tables(db)
            yield CommitCut(db, proxy)
        proxy.heal()


@pytest.mark.fault
async def test_a_commit_whose_answer_is_lost_calls_nothing(behind_proxy: CommitCut, called: Called) -> None:
    db = behind_proxy.db

    async def work() -> None:
        async with db.transaction():
            await db.execute(INSERT, {"label": "a"})
            called.by("lost", db)
            behind_proxy.proxy.cut()

    with pytest.raises(ConnectionTrouble):
        await work()
    behind_proxy.proxy.heal()

    assert called.names == []
    assert await db.fetch_val("SELECT 1") == 1
