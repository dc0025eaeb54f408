"""PostgreSQL restarts or crashes under load: the pool and readiness follow, nobody hangs, nothing is written twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import databases
import pytest

from app.core.database import Database, database_probe, open_database
from app.embedded import PostgresServer, Stop
from tests.core.database.ledger import CREATE, Clients
from tests.core.database.torture import usable_at_once
from tests.core.running import running, seconds_until
from tests.harness.processes import client_backends, kill
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

pytestmark = pytest.mark.fault

NOTICED = BACK = 2.0  # seconds, what readiness promises


@pytest.fixture
async def db(own_settings: TestSettings) -> AsyncIterator[Database]:
    async with open_database(own_settings().database) as database:
        # The test server trades safety for speed; here an acknowledged write must outlive a crash.
        await database.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = on")
        await database.execute("DROP TABLE IF EXISTS ledger")
        await database.execute(CREATE)
    async with open_database(own_settings().database) as database:
        yield database


async def started_at(db: Database) -> datetime:
    found: datetime = await db.fetch_val("SELECT pg_postmaster_start_time()")
    return found


@pytest.mark.alone
async def test_a_restart_under_twenty_clients_is_survived(db: Database, own_postgres: PostgresServer) -> None:
    before = await started_at(db)
    async with running(database_probe(db)) as probe, Clients(db) as clients:
        await eventually(lambda: clients.everybody_wrote_since(Counter()), within=20)

        stopped = datetime.now(UTC)
        await own_postgres.stop(Stop.IMMEDIATE)
        noticed = await seconds_until(probe, ok=False, since=stopped)
        await own_postgres.start()
        returned, written = datetime.now(UTC), clients.by_client.copy()
        back = await seconds_until(probe, ok=True, since=returned)

        await eventually(lambda: clients.everybody_wrote_since(written), within=20)

    assert await started_at(db) > before
    assert clients.troubles > 0
    assert noticed < NOTICED
    assert back < BACK
    assert clients.longest < db.settings.command_timeout
    await clients.assert_each_acknowledged_write_happened_once()
    assert await usable_at_once(db, wanted=10, within=20) == 10


async def test_a_killed_backend_under_twenty_clients_is_survived(db: Database, own_postgres: PostgresServer) -> None:
    log_before = own_postgres.log_path.stat().st_size

    def log() -> str:
        return own_postgres.log_path.read_bytes()[log_before:].decode()

    async with running(database_probe(db)) as probe, Clients(db) as clients:
        await eventually(lambda: clients.everybody_wrote_since(Counter()), within=20)

        kill(client_backends(own_postgres)[0])
        await eventually(lambda: clients.troubles > 0, within=20)
        await eventually(lambda: "ready to accept connections" in log(), within=20)
        written = clients.by_client.copy()
        await eventually(lambda: clients.everybody_wrote_since(written), within=20)
        await eventually(lambda: probe.result.ok, within=20)

    # One backend killed this way makes the server throw all of them out.
    assert "was terminated by signal 9" in log()
    assert "terminating any other active server processes" in log()
    assert clients.longest < db.settings.command_timeout
    await clients.assert_each_acknowledged_write_happened_once()
    assert await usable_at_once(db, wanted=10, within=20) == 10


async def test_a_task_that_saw_a_restart_goes_on_and_a_stock_one_does_not(
    db: Database, own_postgres: PostgresServer
) -> None:
    stock = databases.Database(own_postgres.url, min_size=1, max_size=3, ssl=False, timeout=3, command_timeout=3)
    await stock.connect()
    ours_up, stock_up, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ours = asyncio.create_task(live_through(db, ours_up, over))
    theirs = asyncio.create_task(live_through(stock, stock_up, over))
    async with asyncio.timeout(10):
        await asyncio.gather(ours_up.wait(), stock_up.wait())
    await own_postgres.restart(Stop.IMMEDIATE)
    over.set()

    assert await ours == 3
    assert await theirs == 0
    stock._backend._pool.terminate()


async def live_through(db: databases.Database, up: asyncio.Event, over: asyncio.Event) -> int:
    """How many of three transactions work in a task whose transaction was open during the restart."""
    with suppress(Exception):
        async with db.transaction():
            await db.fetch_val("SELECT 1")
            up.set()
            await over.wait()
            await db.fetch_val("SELECT 1")
    worked = 0
    for _ in range(3):
        with suppress(Exception):
            async with db.transaction():
                worked += bool(await db.fetch_val("SELECT 1"))
    return worked
