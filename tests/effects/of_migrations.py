"""Section `database`: how long a migrator waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.core.migrations import LockBusy, migrate_up
from app.core.migrations.connection import direct_connection
from app.core.migrations.lock import KEY
from tests.effects.case import Trial, limits
from tests.harness.databases import connect

LOCK = "SELECT pg_advisory_lock(1)"


@limits("database.migration_wait")
async def a_migrator_waits_for_another_one(trial: Trial) -> None:
    async with _other_session(trial, f"SELECT pg_advisory_lock({KEY})"):
        with pytest.raises(LockBusy):
            await migrate_up(trial.settings().database)


@limits("database.migration_lock_timeout")
async def a_revision_waits_for_a_lock(trial: Trial) -> None:
    async with _other_session(trial, LOCK), direct_connection(trial.settings().database) as connection:
        with pytest.raises(asyncpg.LockNotAvailableError):
            await connection.execute(LOCK)


@limits("database.migration_statement_timeout")
async def a_statement_of_a_revision_runs(trial: Trial) -> None:
    settings = trial.settings("database.migration_lock_timeout=0.1")
    async with direct_connection(settings.database) as connection:
        with pytest.raises(asyncpg.QueryCanceledError):
            await connection.execute("SELECT pg_sleep(3600)")


@asynccontextmanager
async def _other_session(trial: Trial, sql: str) -> AsyncIterator[None]:
    """Somebody else, who has run `sql` and stays."""
    session = await connect(trial.usual.environ["APP_DATABASE__URL"])
    try:
        await session.execute(sql)
        yield
    finally:
        await session.close()
