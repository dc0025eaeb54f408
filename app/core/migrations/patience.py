"""Tries a revision again when it could not get a lock, and says who held it when that does not help."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import structlog
from sqlalchemy.exc import DBAPIError

from app.core.database import DatabaseUnavailable
from app.core.migrations.blockers import Watch, watching
from app.core.migrations.connection import Connection, direct_connection
from app.core.migrations.errors import LockBusy, MigrationError, RevisionFailed
from app.core.migrations.revisions import Revision
from app.core.settings.sections import Database

log = structlog.get_logger(__name__)

Step: TypeAlias = Callable[[], Awaitable[None]]

ATTEMPTS = 5

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
CANCELED = "57014"  # by statement_timeout
BROKEN = {None, "57P01", "57P02", "57P03"}  # no answer, or the server is going down

_random = secrets.SystemRandom()


async def patiently(database: Database, connection: Connection, revision: Revision, step: Step) -> None:
    """Run `step` up to five times; raises `LockBusy` with the blocker's name, or `RevisionFailed`.

    Everything that queues behind a waiting revision waits with it, hence many short tries, not a long one.
    """
    watch = Watch()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with _watched(watch, database, connection, attempt):
                return await step()
        except DBAPIError as error:
            if _state(error) not in {LOCK_NOT_AVAILABLE, DEADLOCK}:
                raise _failure(database, revision, error) from error
        except Exception as error:
            raise RevisionFailed(f"{_named(revision)} failed: {type(error).__name__}: {error}") from error
        if attempt < ATTEMPTS:
            await _give_way(database, revision, attempt)
    raise LockBusy(
        f"{_named(revision)} did not get its lock in {ATTEMPTS} tries of "
        f"database.migration_lock_timeout = {database.migration_lock_timeout:g} s. {watch}\n"
        "End that session (pg_terminate_backend) or run this again at a quieter time; nothing of the revision is left."
    )


@asynccontextmanager
async def _watched(watch: Watch, database: Database, connection: Connection, attempt: int) -> AsyncIterator[None]:
    # The first try goes alone: most runs meet no lock at all and need no second connection.
    if attempt == 1:
        yield
        return
    async with direct_connection(database) as second, watching(watch, second, connection.get_server_pid()):
        yield


async def _give_way(database: Database, revision: Revision, attempt: int) -> None:
    # As long as others had to wait behind us, more or less: they get through, and two rivals fall out of step.
    pause = database.migration_lock_timeout * _random.uniform(0.5, 1.5)
    log.warning("lock_not_available", revision=revision.id, attempt=attempt, of=ATTEMPTS, retry_in=round(pause, 2))
    await asyncio.sleep(pause)


def _failure(database: Database, revision: Revision, error: DBAPIError) -> MigrationError | DatabaseUnavailable:
    what = _named(revision)
    if error.connection_invalidated or _state(error) in BROKEN:
        return DatabaseUnavailable(f"{what} was cut short: the connection broke. It is safe to run it again.")
    if _state(error) == CANCELED:
        limit = database.migration_statement_timeout
        return RevisionFailed(f"{what} ran into database.migration_statement_timeout = {limit:g} s.")
    # The driver's own sentence, without the class names that SQLAlchemy's wrapper puts before it.
    return RevisionFailed(f"{what} failed: {getattr(error.orig, '__cause__', None) or error.orig}")


def _named(revision: Revision) -> str:
    return f"Revision {revision.id} ({revision.file})"


def _state(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state
