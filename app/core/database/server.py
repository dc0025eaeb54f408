"""What is asked of the server once, at start: its version, and room for all of our connections."""

from __future__ import annotations

import structlog

from app.core.database.database import Database
from app.core.database.errors import UnsupportedServer
from app.core.settings.sections import PoolerMode

log = structlog.get_logger(__name__)

OLDEST = 18

_VERSION = (
    "SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('server_version') AS full"
)
_ROOM = """
SELECT current_setting('max_connections')::int AS most,
       current_setting('superuser_reserved_connections')::int + current_setting('reserved_connections')::int AS reserved
"""


async def check_version(database: Database) -> None:
    row = await database.fetch_existing(_VERSION)
    if row["major"] < OLDEST:
        raise UnsupportedServer(
            f"PostgreSQL {OLDEST} or newer is needed (uuidv7() among others), but the server at"
            f" {database.settings.host}:{database.settings.port} is {row['full']}."
        )


async def check_capacity(database: Database, *, processes: int) -> None:
    """Warn while there is time to act: under load the missing connections would be refused."""
    if database.settings.pooler_mode is PoolerMode.TRANSACTION:
        return
    row = await database.fetch_existing(_ROOM)
    needed = processes * (database.settings.pool_max + 1)  # 1: the probe
    available = row["most"] - row["reserved"]
    if needed > available:
        log.warning(
            "database_connections_short",
            needed=needed,
            available=available,
            processes=processes,
            pool_max=database.settings.pool_max,
            max_connections=row["most"],
            reserved=row["reserved"],
        )
