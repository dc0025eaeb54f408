"""A direct connection for migrations: one session from start to end, never out of the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import asyncpg

from app.core.database import DatabaseUnavailable, UnsupportedServer, open_database
from app.core.database.opening import FAILURES, reason, refusal, where
from app.core.database.options import connect_options
from app.core.database.server import OLDEST
from app.core.database.trouble import trouble
from app.core.migrations.errors import DirectConnectionNeeded
from app.core.settings.sections import Database as DatabaseSettings
from app.core.settings.sections import PoolerMode

Connection: TypeAlias = asyncpg.Connection

NAME = "plinth migrate"
GRACE = 30.0  # seconds that the client waits beyond statement_timeout, for a server that has stopped altogether

# How soon PostgreSQL notices that a migrator was killed. Without it the orphaned session would work on, and
# hold the migration lock, until its statement ends.
NOTICE_DEATH = "1s"


@asynccontextmanager
async def direct_connection(database: DatabaseSettings) -> AsyncIterator[Connection]:
    """One connection with the time limits of migrations.

    Raises `DatabaseUnavailable`, `UnsupportedServer` for PostgreSQL older than 18, and
    `DirectConnectionNeeded` when the settings say that a pooler hands out another session per transaction.
    """
    if database.pooler_mode is PoolerMode.TRANSACTION:
        raise DirectConnectionNeeded(
            "Migrations need a session of their own, but database.pooler_mode is transaction: the pooler would "
            "lose the migration lock. Point them at PostgreSQL itself: app --set database.pooler_mode=session "
            "--set database.host=... --set database.port=... migrate up"
        )
    connection = await _connect(database)
    try:
        refuse_old_server(connection.get_server_version().major)
        yield connection
        await connection.close(timeout=database.connect_timeout)
    except Exception as error:
        if trouble(error, gone=connection.is_closed()):
            raise DatabaseUnavailable(f"The connection to {where(database)} broke: {reason(error)}.") from error
        raise
    finally:
        connection.terminate()  # at once: a server that has stopped would not answer a good-bye


async def wait_for_server(database: DatabaseSettings) -> None:
    """Return once the server answers, as every start does it; raises like `open_database`."""
    async with open_database(replace(database, pool_min=1, pool_max=1), application_name=NAME):
        pass


def refuse_old_server(major: int) -> None:
    """Raise `UnsupportedServer` below PostgreSQL 18."""
    if major < OLDEST:
        raise UnsupportedServer(
            f"This server is PostgreSQL {major}, but Plinth needs {OLDEST} or newer: its ids come from uuidv7()."
        )


async def _connect(database: DatabaseSettings) -> Connection:
    options = connect_options(database, application_name=NAME)
    options["command_timeout"] = database.migration_statement_timeout + GRACE
    options["server_settings"] |= _limits(database)
    try:
        return await asyncpg.connect(**options)
    except FAILURES as error:
        away = DatabaseUnavailable(f"{where(database)} can't be reached: {reason(error)}.")
        raise (refusal(database, error) or away) from error


def _limits(database: DatabaseSettings) -> dict[str, str]:
    return {
        "lock_timeout": f"{database.migration_lock_timeout * 1000:.0f}ms",
        "statement_timeout": f"{database.migration_statement_timeout * 1000:.0f}ms",
        # A revision may compute between two statements for as long as it likes.
        "idle_in_transaction_session_timeout": "0",
        "client_connection_check_interval": NOTICE_DEATH,
    }
