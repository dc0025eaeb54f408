"""Writes the next revision file: its number, its place in the line, and what the models have that it must make."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from sqlalchemy import Connection as BlockingConnection
from sqlalchemy import MetaData

from app.core.migrations.alembic_step import Scripts, alone_in_this_process, engine_on
from app.core.migrations.connection import direct_connection
from app.core.migrations.revisions import History, read_history
from app.core.migrations.runner import upgrade
from app.core.migrations.scratch import scratch_database
from app.core.settings.sections import Database as DatabaseSettings


async def write_from_models(database: DatabaseSettings, metadata: MetaData, message: str, folder: Path) -> Path:
    """A file with what Alembic finds missing after all other revisions; to be read and completed by a person.

    Found against a scratch database, so that the state of the developer's own does not matter.
    """
    history = read_history(folder)
    async with scratch_database(database) as scratch:
        await upgrade(scratch, "head", folder)
        async with (
            direct_connection(scratch) as connection,
            engine_on(connection).connect() as writer,
            alone_in_this_process(),
        ):
            await writer.run_sync(_write, metadata, message, folder)
    return _written(history, folder)


def write_empty(message: str, folder: Path) -> Path:
    """A file to be filled by hand; needs no database."""
    history = read_history(folder)
    _revision(Scripts(folder), message, history, autogenerate=False)
    return _written(history, folder)


def _write(connection: BlockingConnection, metadata: MetaData, message: str, folder: Path) -> None:
    scripts = Scripts(folder)
    scripts.config.attributes.update(connection=connection, metadata=metadata)
    _revision(scripts, message, read_history(folder), autogenerate=True)


def _revision(scripts: Scripts, message: str, history: History, *, autogenerate: bool) -> None:
    command.revision(scripts.config, message, autogenerate=autogenerate, rev_id=_next_number(history))


def _next_number(history: History) -> str:
    head = history.head or "0"
    return f"{int(head) + 1 if head.isdigit() else len(history.revisions) + 1:04d}"


def _written(before: History, folder: Path) -> Path:
    after = read_history(folder)
    file = folder / "versions" / next(new.file for new in after.revisions if new not in before.revisions)
    # Alembic writes one long line per table. Ruff is there wherever revisions are written.
    if find_spec("ruff"):
        subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", file], check=True)  # noqa: S603 - our own file
    return file
