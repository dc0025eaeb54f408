"""What `app migrate status` tells: every revision, which of them are applied, and what needs a hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.migrations.connection import direct_connection
from app.core.migrations.invalid import invalid_indexes
from app.core.migrations.revisions import MIGRATIONS, History, read_history
from app.core.migrations.state import SchemaState, current_revision, judge
from app.core.settings.sections import Database as DatabaseSettings


@dataclass(frozen=True, slots=True)
class Report:
    """The files, the state of the database, and its half-built indexes with their tables."""

    history: History
    state: SchemaState
    invalid: dict[str, str]

    @property
    def applied(self) -> list[str]:
        """Revisions that are in the database; none of ours is known to be when a newer release was there."""
        known = self.history.knows(self.state.found)
        return self.history.ids[: self.history.position(self.state.found)] if known else []

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; names and shapes are stable."""
        applied = self.applied
        revisions = self.history.revisions
        return {
            "state": str(self.state.fit),
            "current": self.state.found,
            "head": self.state.expected,
            "pending": [each.id for each in revisions if each.id not in applied],
            "revisions": [
                {"revision": each.id, "title": each.title, "applied": each.id in applied} for each in revisions
            ],
            "invalid_indexes": sorted(self.invalid),
        }


async def schema_report(database: DatabaseSettings, folder: Path = MIGRATIONS) -> Report:
    """Ask over a connection of its own; raises like `migrate_up`, but does not wait for a database that is away."""
    history = read_history(folder)
    async with direct_connection(database) as connection:
        state = judge(history, await current_revision(connection))
        return Report(history, state, await invalid_indexes(connection))
