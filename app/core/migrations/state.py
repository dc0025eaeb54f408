"""Whether the schema fits this code: what readiness, `app migrate status` and the doctor ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from app.core.database import Database, Statement
from app.core.migrations.connection import Connection
from app.core.migrations.revisions import History, ahead, read_history

# Not in the metadata, because Alembic makes and keeps this table.
VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))

# A database that was never migrated has no such table; asked for directly, it would log an error per probe.
SELECT_HAS_VERSION = Statement(
    sa.select(sa.func.to_regclass(sa.literal_column("'alembic_version'")).is_not(None).label("present")),
    name="select_has_schema_version",
)
SELECT_VERSION = Statement(sa.select(VERSION.c.version_num), name="select_schema_version")


class Fit(StrEnum):
    """How the schema stands to the code."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The revision that the code expects, the one that was found, and what follows from that."""

    fit: Fit
    expected: str | None
    found: str | None

    @property
    def sentence(self) -> str:
        """What a person should know and do; for readiness and the command line."""
        match self.fit:
            case Fit.CURRENT:
                return f"The schema is at revision {self.found or 'none'}, as expected."
            case Fit.AHEAD:
                return ahead(self.expected, self.found)
            case Fit.BEHIND:
                found = self.found or "none"
                return f"The schema is behind: expected revision {self.expected}, found {found}. Run `app migrate up`."


def judge(history: History, found: str | None) -> SchemaState:
    """Hold the revision found against the files."""
    if not history.knows(found):
        return SchemaState(Fit.AHEAD, history.head, found)
    return SchemaState(Fit.CURRENT if found == history.head else Fit.BEHIND, history.head, found)


async def schema_state(db: Database, history: History | None = None) -> SchemaState:
    """Ask over the pool; one or two short reads."""
    rows = await db.fetch_all(SELECT_VERSION) if await db.fetch_val(SELECT_HAS_VERSION) else []
    return judge(history or read_history(), _joined(rows))


async def current_revision(connection: Connection) -> str | None:
    """The revision of the database, over a migrator's own connection; None where there is none yet."""
    if not await connection.fetchval(SELECT_HAS_VERSION.sql):
        return None
    return _joined(await connection.fetch(SELECT_VERSION.sql))


def _joined(rows: Sequence[Any]) -> str | None:
    # Two rows mean two heads, which our files never have: a name that no file knows says so.
    return " and ".join(sorted(row["version_num"] for row in rows)) or None
