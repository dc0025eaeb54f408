"""Opens the database at start: waits for one that is still coming up, and says plainly why one can't be used."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog

from app.core.database.database import Database
from app.core.database.errors import (
    ConnectionTrouble,
    DatabaseUnavailable,
    TlsRefused,
    UnknownDatabase,
    WrongPassword,
)
from app.core.database.server import check_capacity, check_version
from app.core.database.stats import DatabaseObserver
from app.core.settings.sections import Database as DatabaseSettings

log = structlog.get_logger(__name__)

FIRST_RETRY = 0.1  # seconds; doubled with each try
LONGEST_RETRY = 2.0
LEAST_TRY = 1.0  # what one try gets, also with a start_timeout of 0

# What a server that is absent, still starting or unwilling can do; anything else is a mistake and not retried.
FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_random = secrets.SystemRandom()


@asynccontextmanager
async def open_database(
    settings: DatabaseSettings,
    *,
    application_name: str = "plinth",
    processes: int = 1,
    observer: DatabaseObserver | None = None,
) -> AsyncIterator[Database]:
    """The database, connected; `processes` share its server.

    Raises `DatabaseUnavailable` after `start_timeout`, at once where waiting can't help, and `UnsupportedServer`
    below PostgreSQL 18.
    """
    database = Database(settings, application_name=application_name, observer=observer)
    await _open(database, processes)
    try:
        yield database
    finally:
        await database.disconnect()


async def _open(database: Database, processes: int) -> None:
    """Full jitter: a hundred processes that lost one database do not come back in step."""
    deadline = time.monotonic() + database.settings.start_timeout
    attempt = 0
    while True:
        attempt += 1
        try:
            async with asyncio.timeout_at(_loop_time(deadline)):
                return await _try(database, processes)
        except (*FAILURES, ConnectionTrouble) as trouble:
            error = _said_by_the_driver(trouble)
            retry_in = _random.uniform(0, min(LONGEST_RETRY, FIRST_RETRY * 2**attempt))
            if (final := refusal(database.settings, error)) or time.monotonic() + retry_in >= deadline:
                raise (final or _timed_out(database.settings, error)) from error
            log.warning("database_unreachable", attempt=attempt, retry_in=round(retry_in, 3), reason=reason(error))
        await asyncio.sleep(retry_in)


async def _try(database: Database, processes: int) -> None:
    """A server may go away between its first answer and its last: it is open when it has answered all."""
    await database.connect()
    try:
        await check_version(database)
        await check_capacity(database, processes=processes)
    except BaseException:
        await database.disconnect()
        raise


def _said_by_the_driver(error: Exception) -> Exception:
    cause = error.__cause__
    return cause if isinstance(error, ConnectionTrouble) and isinstance(cause, FAILURES) else error


def _loop_time(deadline: float) -> float:
    return asyncio.get_running_loop().time() + max(LEAST_TRY, deadline - time.monotonic())


def _timed_out(settings: DatabaseSettings, error: Exception) -> DatabaseUnavailable:
    limit = f"{settings.start_timeout:g} s"
    return DatabaseUnavailable(f"{where(settings)} could not be reached within {limit}: {reason(error)}.")


def where(settings: DatabaseSettings) -> str:
    """The database, as a person should hear of it."""
    return f"PostgreSQL at {settings.host}:{settings.port} (database {settings.name!r}, user {settings.user!r})"


def reason(error: BaseException) -> str:
    """The driver's sentence, or the name of an error that has none (a timeout)."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.rstrip(".")


def refusal(settings: DatabaseSettings, error: Exception) -> DatabaseUnavailable | None:
    """The error that waiting would not cure, as its own sentence."""
    if isinstance(error, asyncpg.InvalidPasswordError | asyncpg.InvalidAuthorizationSpecificationError):
        return WrongPassword(
            f"{where(settings)} refuses the login: {reason(error)}. Check database.user and database.password."
        )
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return UnknownDatabase(f"{where(settings)} has no such database. Create it, or check database.name.")
    if isinstance(error, asyncpg.ProtocolViolationError):
        return DatabaseUnavailable(
            f"{where(settings)} is a pooler that refuses the connection: {reason(error)}."
            " Behind one, set database.pooler_mode to transaction."
        )
    if isinstance(error, ssl.SSLError | asyncpg.ClientConfigurationError) or "SSL" in str(error):
        return TlsRefused(f"{where(settings)} and database.sslmode={settings.sslmode} do not fit: {reason(error)}.")
    return None
