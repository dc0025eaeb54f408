"""Brings a database up or down, revision by revision, each in its own transaction, one migrator at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import structlog

from app.core.migrations.connection import Connection, direct_connection, wait_for_server
from app.core.migrations.invalid import refuse_invalid_indexes
from app.core.migrations.lock import migration_lock
from app.core.migrations.patience import patiently
from app.core.migrations.revisions import History, Revision, read_history
from app.core.migrations.state import current_revision
from app.core.migrations.targets import Direction, steps_down, steps_up
from app.core.settings.sections import Database

log = structlog.get_logger(__name__)

Plan: TypeAlias = Callable[[History, str | None, str], list[Revision]]
DOING = {Direction.UP: "revision_applying", Direction.DOWN: "revision_undoing"}
DONE = {Direction.UP: "revision_applied", Direction.DOWN: "revision_undone"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: the revisions in the order they ran, where the schema is now, and the time in seconds."""

    ran: tuple[Revision, ...]
    current: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Run:
    database: Database
    folder: Path
    direction: Direction
    plan: Plan
    target: str


async def upgrade(database: Database, target: str, folder: Path) -> Outcome:
    return await _migrate(_Run(database, folder, Direction.UP, steps_up, target))


async def downgrade(database: Database, target: str, folder: Path) -> Outcome:
    return await _migrate(_Run(database, folder, Direction.DOWN, steps_down, target))


async def _migrate(run: _Run) -> Outcome:
    history = read_history(run.folder)
    started = time.perf_counter()
    async with _locked(run.database) as connection:
        steps = run.plan(history, await current_revision(connection), run.target)
        await _run_all(run, connection, steps)
        await refuse_invalid_indexes(connection)
        current = await current_revision(connection)
    outcome = Outcome(tuple(steps), current, time.perf_counter() - started)
    log.info("migrated", revision=current, revisions_run=len(steps), seconds=round(outcome.seconds, 3))
    return outcome


@asynccontextmanager
async def _locked(database: Database) -> AsyncIterator[Connection]:
    await wait_for_server(database)
    async with (
        direct_connection(database) as connection,
        migration_lock(connection, wait=database.migration_wait),
    ):
        yield connection


async def _run_all(run: _Run, connection: Connection, steps: list[Revision]) -> None:
    if not steps:
        return
    # Alembic takes 0.1 s and 15 MB, and most starts that may migrate find nothing to do.
    from app.core.migrations.alembic_step import Scripts, engine_on, run_step  # noqa: PLC0415

    scripts, engine = Scripts(run.folder), engine_on(connection)
    for revision in steps:
        started = time.perf_counter()
        step = partial(run_step, engine, scripts, revision.id, run.direction)
        log.info(DOING[run.direction], revision=revision.id, file=revision.file)
        await patiently(run.database, connection, revision, step)
        log.info(DONE[run.direction], revision=revision.id, milliseconds=round((time.perf_counter() - started) * 1000))
