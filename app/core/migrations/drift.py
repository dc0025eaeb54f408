"""Holds the migrations against the models, object by object, in the words of PostgreSQL's own catalogue."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import MetaData

from app.core.migrations.alembic_step import engine_on
from app.core.migrations.catalog import Snapshot, differences, snapshot
from app.core.migrations.connection import direct_connection
from app.core.migrations.models import create_schema
from app.core.migrations.runner import upgrade
from app.core.migrations.scratch import scratch_database
from app.core.settings.sections import Database as DatabaseSettings


async def find_drift(database: DatabaseSettings, metadata: MetaData, folder: Path) -> list[str]:
    """What the migrations make and the models do not say, or the other way round; none when they agree.

    Alembic's own comparison looks at tables, columns, types and names, and passes over the rest: values of an
    enum, server defaults, predicates of partial indexes, CHECK constraints, triggers. Here both schemas are
    made for real, in a scratch database each.
    """
    return differences(await migrated_schema(database, folder), await modelled_schema(database, metadata))


async def migrated_schema(database: DatabaseSettings, folder: Path) -> Snapshot:
    async with scratch_database(database) as scratch:
        await upgrade(scratch, "head", folder)
        async with direct_connection(scratch) as connection:
            return await snapshot(connection)


async def modelled_schema(database: DatabaseSettings, metadata: MetaData) -> Snapshot:
    async with scratch_database(database) as scratch, direct_connection(scratch) as connection:
        async with engine_on(connection).begin() as models:
            await models.run_sync(create_schema, metadata)
        return await snapshot(connection)
