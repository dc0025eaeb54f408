"""Runs single revisions through Alembic on a connection that it is given; the only module that starts Alembic."""

from __future__ import annotations

import asyncio
import threading
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as BlockingConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from app.core.migrations.connection import Connection
from app.core.migrations.targets import Direction

TURN_POLL = 0.01  # seconds

_turn = threading.Lock()


class Scripts:
    """The revision files as Alembic sees them; its whole configuration is here, so there is no alembic.ini."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(cmd_opts=Namespace(quiet=True))
        self.config.set_main_option("script_location", str(folder).replace("%", "%%"))
        self.directory = ScriptDirectory.from_config(self.config)

    def step(self, revision: str, direction: Direction) -> RevisionStep:
        make = MigrationStep.upgrade_from_script if direction is Direction.UP else MigrationStep.downgrade_from_script
        script = self.directory.get_revision(revision)
        assert script is not None  # noqa: S101 - the runner only asks for files that it has just read
        return make(self.directory.revision_map, script)


def engine_on(connection: Connection) -> AsyncEngine:
    """SQLAlchemy over a connection that somebody else opened and will close."""

    async def given() -> Connection:
        return connection

    return create_async_engine("postgresql+asyncpg://", async_creator=given, poolclass=StaticPool)


async def run_step(engine: AsyncEngine, scripts: Scripts, revision: str, direction: Direction) -> None:
    """Run one revision in a transaction of its own, its line in alembic_version included."""
    async with alone_in_this_process(), engine.connect() as connection:
        await connection.run_sync(_run_step, scripts, revision, direction)


def _run_step(connection: BlockingConnection, scripts: Scripts, revision: str, direction: Direction) -> None:
    def one_step(_heads: Sequence[str], _context: object) -> list[RevisionStep]:
        return [scripts.step(revision, direction)]

    scripts.config.attributes["connection"] = connection
    with EnvironmentContext(scripts.config, scripts.directory, fn=one_step):
        scripts.directory.run_env()


@asynccontextmanager
async def alone_in_this_process() -> AsyncIterator[None]:
    # `alembic.op` and `alembic.context` are global: two databases migrated at the same time, by two tasks or
    # by two threads, would run each other's statements. asyncio.Lock knows one loop only, hence the polling.
    while not _turn.acquire(blocking=False):  # noqa: ASYNC110 - an asyncio.Event knows one loop only, too
        await asyncio.sleep(TURN_POLL)
    try:
        yield
    finally:
        _turn.release()
