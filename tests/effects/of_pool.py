"""Section `database`: the pool, and how long each part of it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.core.database import (
    AcquireTimeout,
    ConnectionTrouble,
    Database,
    DatabaseUnavailable,
    QueryTimeout,
    database_probe,
    open_database,
)
from app.core.database.driver import is_gone
from tests.core.running import running
from tests.effects.case import Trial, limits, shows
from tests.harness.ports import reserved_port
from tests.harness.proxy import open_proxy
from tests.harness.waiting import eventually

FOR_EVER = "SELECT pg_sleep(3600)"
LOCK = "SELECT pg_advisory_lock(1)"


@shows("database.pool_min", {"1": 1, "3": 3})
async def connections_before_any_work(trial: Trial) -> int:
    async with open_database(trial.settings().database) as db:
        return db.stats().size


@shows("database.pool_max", {"3": 3, "5": 5})
async def connections_that_eight_queries_open(trial: Trial) -> int:
    async with open_database(trial.settings().database) as db:
        await asyncio.gather(*(db.fetch_val("SELECT 1") for _ in range(8)))
        return db.stats().opened_total


@limits("database.connect_timeout")
async def opening_waits_for_a_silent_server(trial: Trial) -> None:
    async with _silent_proxy(trial) as stage:
        with pytest.raises(TimeoutError):
            await Database(trial.settings(*stage).database).connect()


@limits("database.health_timeout")
async def the_probe_waits_for_a_silent_server(trial: Trial) -> None:
    async with _silent_proxy(trial) as stage:
        settings = trial.settings(*stage, "database.connect_timeout=60", "database.health_interval=60")
        async with running(database_probe(Database(settings.database))) as probe:
            await eventually(lambda: "no answer within" in probe.result.reason, within=60)


@asynccontextmanager
async def _silent_proxy(trial: Trial) -> AsyncIterator[tuple[str, str]]:
    """The overrides that lead to it."""
    own = trial.usual().database
    async with open_proxy(own.host, own.port) as proxy:
        proxy.stall()
        yield "database.host=127.0.0.1", f"database.port={proxy.port}"


@limits("database.start_timeout")
async def the_start_tries_an_absent_server(trial: Trial) -> None:
    with reserved_port() as port, pytest.raises(DatabaseUnavailable, match="could not be reached"):
        async with open_database(trial.settings(f"database.port={port}").database):
            pass


@limits("database.acquire_timeout")
async def a_query_waits_for_a_free_connection(trial: Trial) -> None:
    stage = "database.pool_min=1", "database.pool_max=1"
    async with open_database(trial.settings(*stage).database) as db, db.connection():
        with pytest.raises(AcquireTimeout):
            await asyncio.create_task(db.fetch_val("SELECT 1"))


@limits("database.command_timeout")
async def we_wait_for_a_statement(trial: Trial) -> None:
    async with open_database(trial.settings("database.statement_timeout=60").database) as db:
        with pytest.raises(QueryTimeout):
            await db.execute(FOR_EVER)


@limits("database.statement_timeout")
async def the_server_lets_a_statement_run(trial: Trial) -> None:
    stage = "database.lock_timeout=0.1", "database.command_timeout=60"
    async with open_database(trial.settings(*stage).database) as db:
        with pytest.raises(asyncpg.QueryCanceledError):
            await db.execute(FOR_EVER)


@limits("database.lock_timeout")
async def a_statement_waits_for_a_lock(trial: Trial) -> None:
    stage = "database.statement_timeout=60", "database.command_timeout=60"
    async with open_database(trial.settings(*stage).database) as db, db.connection() as connection:
        await connection.execute(LOCK)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await asyncio.create_task(db.execute(LOCK))


@limits("database.idle_in_transaction_timeout")
async def the_server_keeps_an_open_transaction(trial: Trial) -> None:
    async with open_database(trial.settings().database) as db:
        with pytest.raises(ConnectionTrouble):
            async with db.connection() as connection, db.transaction():
                await eventually(lambda: is_gone(connection.raw), within=60)


@limits("database.idle_timeout")
async def an_unused_connection_is_kept(trial: Trial) -> None:
    async with open_database(trial.settings("database.pool_min=0").database) as db:
        await eventually(lambda: db.stats().size == 0, within=60)


@limits("database.health_interval")
async def the_probe_rests_before_it_asks_again(trial: Trial) -> None:
    async with open_database(trial.settings().database) as db, running(database_probe(db)) as probe:
        before = probe.result
        await eventually(lambda: probe.result is not before, within=60)
        first = probe.result
        await eventually(lambda: probe.result is not first, within=60)
