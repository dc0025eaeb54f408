"""Indexes that a broken CREATE INDEX CONCURRENTLY left behind: kept up to date by every write, used by no read."""

from __future__ import annotations

from app.core.migrations.connection import Connection
from app.core.migrations.errors import InvalidIndexes

# One that is being built right now is INVALID too, until it is done.
INVALID = """
SELECT indexrelid::regclass::text AS name, indrelid::regclass::text AS table
FROM pg_index
WHERE NOT indisvalid
  AND indrelid NOT IN (SELECT relid FROM pg_stat_progress_create_index WHERE datname = current_database())
ORDER BY 1
"""


async def invalid_indexes(connection: Connection) -> dict[str, str]:
    """Invalid indexes by name, with their tables."""
    return {row["name"]: row["table"] for row in await connection.fetch(INVALID)}


async def refuse_invalid_indexes(connection: Connection) -> None:
    """Raise `InvalidIndexes` naming each one and its remedy."""
    found = await invalid_indexes(connection)
    if found:
        raise InvalidIndexes("\n".join(remedy(name, table) for name, table in found.items()))


def remedy(name: str, table: str) -> str:
    """What is wrong with the index, and the statement that mends it."""
    return (
        f"Index {name} on {table} is INVALID: its CONCURRENTLY build was broken off. "
        f"Rebuild it with `REINDEX INDEX CONCURRENTLY {name};` or drop it with `DROP INDEX CONCURRENTLY {name};`."
    )
