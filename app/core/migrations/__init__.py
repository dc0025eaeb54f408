"""Migrations: what the schema is, what the code expects, and the way from one to the other.

Alembic is imported when a revision runs, not before: a server that has none to run never pays for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.core.migrations.errors import (
    DirectConnectionNeeded,
    HistoryError,
    InvalidIndexes,
    LockBusy,
    MigrationError,
    RevisionFailed,
    SchemaMismatch,
    ScratchRefused,
    UnknownTarget,
)
from app.core.migrations.readiness import SchemaCheck, schema_probe
from app.core.migrations.report import Report, schema_report
from app.core.migrations.revisions import MIGRATIONS, History, Revision, expected_revision, read_history
from app.core.migrations.state import Fit, SchemaState, schema_state
from app.core.settings.sections import Database as DatabaseSettings

if TYPE_CHECKING:
    from app.core.migrations.runner import Outcome

__all__ = [
    "MIGRATIONS",
    "DirectConnectionNeeded",
    "Fit",
    "History",
    "HistoryError",
    "InvalidIndexes",
    "LockBusy",
    "MigrationError",
    "Report",
    "Revision",
    "RevisionFailed",
    "SchemaCheck",
    "SchemaMismatch",
    "SchemaState",
    "ScratchRefused",
    "UnknownTarget",
    "expected_revision",
    "migrate_down",
    "migrate_up",
    "read_history",
    "schema_probe",
    "schema_report",
    "schema_state",
]


async def migrate_up(database: DatabaseSettings, target: str = "head", *, folder: Path = MIGRATIONS) -> Outcome:
    """Apply what is pending up to `target`: `head`, a revision or `+N`.

    Raises `MigrationError`, `DatabaseUnavailable` or `UnsupportedServer`. Safe to run from many processes at
    once, and again after it was broken off.
    """
    from app.core.migrations.runner import upgrade  # noqa: PLC0415 - for migrators only

    return await upgrade(database, target, folder)


async def migrate_down(database: DatabaseSettings, target: str = "-1", *, folder: Path = MIGRATIONS) -> Outcome:
    """Undo revisions down to `target`: `-N`, a revision (which stays) or `base`; raises like `migrate_up`."""
    from app.core.migrations.runner import downgrade  # noqa: PLC0415 - as above

    return await downgrade(database, target, folder)
