"""A database of its own for one question, on the same server, gone when the answer is there."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg

from app.core.migrations.connection import direct_connection
from app.core.migrations.errors import ScratchRefused
from app.core.settings.sections import Database as DatabaseSettings


@asynccontextmanager
async def scratch_database(database: DatabaseSettings) -> AsyncIterator[DatabaseSettings]:
    """Settings of an empty database; raises `ScratchRefused` when the role may not create one."""
    # Random, so that two checks on one server do not meet.
    name = f"plinth_scratch_{secrets.token_hex(6)}"
    async with direct_connection(database) as connection:
        try:
            # template0: nobody can be connected to it, which would refuse the copy.
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        except asyncpg.InsufficientPrivilegeError as error:
            raise ScratchRefused(
                f"This needs a scratch database, which the role {database.user} may not create. "
                f"Run it as another role, or once: ALTER ROLE {database.user} CREATEDB;"
            ) from error
        try:
            yield replace(database, name=name)
        finally:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
