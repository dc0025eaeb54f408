"""Whatever is cancelled, times out or fails, every slot of the pool comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import databases
import pytest
from structlog.testing import capture_logs

from app.core.database import ConnectionTrouble, Database, open_database
from app.core.settings.sections import Database as DatabaseSettings
from tests.core.database.tables import create_tables
from tests.core.database.torture import Work, cancel_at_random, time_out_in_one_task, usable_at_once
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

pytestmark = pytest.mark.fault

INSERT = "INSERT INTO shelves (label) VALUES (:label)"
LEFT_OPEN = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""
ORPHAN = "INSERT INTO books (shelf_id, title) VALUES (:shelf, 'x')"


@pytest.fixture
async def pool(settings: TestSettings) -> AsyncIterator[Database]:
    async with open_database(settings("database.pool_min=5", "database.pool_max=5").database) as db:
        await create_tables(db)
        yield db


@pytest.fixture
async def stock(database_url: str, pool: Database) -> AsyncIterator[databases.Database]:
    """`databases` as it comes, on the same tables."""
    db = databases.Database(database_url, min_size=1, max_size=5, ssl=False)
    await db.connect()
    assert pool.is_connected
    yield db
    db._backend._pool.terminate()  # close() would wait for the leaked slots


def dice_of(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  (a fixed seed makes a failure repeatable)


def busy(db: Database, dice: random.Random) -> Work:
    """One of the things a request does, chosen anew each time."""

    async def query() -> None:
        await db.fetch_val("SELECT pg_sleep(0.0005)")

    async def transaction() -> None:
        async with db.transaction():
            await db.execute(INSERT, {"label": str(uuid4())})

    async def savepoint() -> None:
        async with db.transaction(), db.transaction():
            await db.fetch_val("SELECT 1")

    async def cursor() -> None:
        async for _ in db.iterate("SELECT generate_series(1, 200)"):
            pass

    async def detached() -> None:
        async with db.detached() as connection:
            await connection.fetch_val("SELECT 1")

    kinds = [query, transaction, savepoint, cursor, detached]

    async def one() -> None:
        await dice.choice(kinds)()

    return one


async def assert_whole(db: Database) -> None:
    await eventually(lambda: db.stats().size == db.stats().idle, within=20)
    assert await usable_at_once(db, wanted=db.stats().max_size, within=20) == db.stats().max_size
    assert db._held == {}
    # The server may still have to read that a dropped connection was closed.
    await eventually(lambda: nothing_is_left_open(db), within=20)


async def nothing_is_left_open(db: Database) -> bool:
    return bool(await db.fetch_val(LEFT_OPEN) == 0)


async def test_4000_cancelled_requests_leave_every_slot_usable(pool: Database) -> None:
    dice = dice_of(5)

    started = await cancel_at_random(busy(pool, dice), cuts=4000, parallel=8, longest=0.006, dice=dice)
    while pool.stats().acquired_total <= 2000:  # on a busy machine fewer get that far before their cut
        await cancel_at_random(busy(pool, dice), cuts=1000, parallel=8, longest=0.02, dice=dice)

    # Some ended by themselves and most held a connection: the cuts came at every point.
    assert started > 4000
    await assert_whole(pool)


async def test_1000_timeouts_inside_one_task_leave_every_slot_usable(pool: Database) -> None:
    dice = dice_of(6)

    started = await time_out_in_one_task(busy(pool, dice), cuts=1000, longest=0.003, dice=dice)

    assert started > 1000
    await assert_whole(pool)


async def test_the_stock_pool_dies_of_cancellations(stock: databases.Database) -> None:
    dice = dice_of(5)

    async def transaction() -> None:
        async with stock.transaction():
            await stock.execute(INSERT, {"label": str(uuid4())})

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3):
            await cancel_at_random(transaction, cuts=1000, parallel=20, longest=0.006, dice=dice)

    assert await usable_at_once(stock, wanted=5, within=0.5) < 5


async def test_250_failing_commits_and_begins_leave_every_slot_usable(pool: Database) -> None:
    refused = 0
    for _ in range(200):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with pool.transaction():
                await pool.execute(ORPHAN, {"shelf": uuid4()})
        refused += 1
    for _ in range(50):
        with pytest.raises(asyncpg.PostgresError):
            await begin_badly(pool)
        refused += 1

    assert refused == 250
    await assert_whole(pool)
    assert await pool.fetch_val("SELECT count(*) FROM books") == 0


async def begin_badly(db: Database) -> None:
    """A BEGIN that the server refuses: what a level of isolation it does not know leads to."""
    transaction = db.transaction()
    transaction._begin = "BEGIN ISOLATION LEVEL BOGUS"
    async with transaction:
        pass


async def test_the_stock_pool_dies_of_failing_commits(stock: databases.Database) -> None:
    for _ in range(5):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await asyncio.create_task(orphan(stock))

    assert await usable_at_once(stock, wanted=5, within=0.5) < 5


async def orphan(db: databases.Database) -> None:
    async with db.transaction():
        await db.execute(ORPHAN, {"shelf": uuid4()})


async def test_the_stock_pool_dies_of_failing_begins(stock: databases.Database) -> None:
    for _ in range(5):
        with pytest.raises(ValueError, match="isolation"):
            await asyncio.create_task(bogus(stock))

    assert await usable_at_once(stock, wanted=5, within=0.5) < 5


async def bogus(db: databases.Database) -> None:
    async with db.transaction(isolation="bogus"):
        pass


async def test_a_connection_lost_inside_a_transaction_costs_no_slot(pool: Database) -> None:
    for _ in range(10):
        with pytest.raises(ConnectionTrouble):
            async with pool.transaction():
                await pool.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    await assert_whole(pool)


async def test_a_generator_left_early_gives_its_connection_back(pool: Database) -> None:
    async for _ in pool.iterate("SELECT generate_series(1, 1000)"):
        break

    await assert_whole(pool)


async def test_a_lost_connection_is_told_once_and_without_values(
    pool: Database, database_settings: DatabaseSettings
) -> None:
    await pool.execute(INSERT, {"label": "kept-secret"})

    with capture_logs() as logs, pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(INSERT, {"label": "kept-secret"})

    assert [entry["event"] for entry in logs] == ["query_failed"]
    assert "kept-secret" not in str(logs)
    assert database_settings.password.reveal() not in str(logs)
