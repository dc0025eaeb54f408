"""Migrations and models agree; and where they would not, we see it, also where Alembic's own check does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

import app.bootstrap  # noqa: F401  (fills the metadata)
from app.core.database import metadata
from app.core.migrations import MIGRATIONS
from app.core.migrations.alembic_step import engine_on
from app.core.migrations.catalog import Snapshot, differences, snapshot
from app.core.migrations.connection import Connection as Raw
from app.core.migrations.connection import direct_connection
from app.core.migrations.drift import find_drift, modelled_schema
from tests.harness.settings import TestSettings

# What is done to the migrated schema behind the models' back.
UNSEEN_BY_ALEMBIC = {
    "an enum's new value": "ALTER TYPE token_type ADD VALUE 'id'",
    "an enum's renamed value": "ALTER TYPE token_type RENAME VALUE 'access' TO 'entry'",
    "a default changed": "ALTER TABLE users ALTER role SET DEFAULT 'admin'",
    "a default removed": "ALTER TABLE users ALTER is_active DROP DEFAULT",
    "a partial index for other rows": """
        DROP INDEX ix_tasks_claim;
        CREATE INDEX ix_tasks_claim ON tasks (task_type, priority, run_at, id) WHERE status = 'running'
    """,
    "a partial index for all rows": """
        DROP INDEX ix_outbox_unprocessed; CREATE INDEX ix_outbox_unprocessed ON outbox (position)
    """,
    "a CHECK changed": """
        ALTER TABLE users DROP CONSTRAINT ck_users_role;
        ALTER TABLE users ADD CONSTRAINT ck_users_role CHECK (role IN ('admin', 'user', 'guest'))
    """,
    "a CHECK removed": "ALTER TABLE users DROP CONSTRAINT ck_users_email_lower",
    "a trigger removed": "DROP TRIGGER set_updated_at ON sessions",
    "a trigger switched off": "ALTER TABLE sessions DISABLE TRIGGER set_updated_at",
    "a function changed": """
        CREATE OR REPLACE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'
    """,
    "a foreign key not validated": """
        ALTER TABLE sessions DROP CONSTRAINT fk_sessions_user_id_users;
        ALTER TABLE sessions ADD CONSTRAINT fk_sessions_user_id_users
            FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE NOT VALID
    """,
    "a primary key renamed": "ALTER TABLE users RENAME CONSTRAINT pk_users TO users_pkey",
    "a table's vacuum settings": "ALTER TABLE tasks RESET (autovacuum_vacuum_scale_factor)",
    "row security": "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "a view": "CREATE VIEW active_users AS SELECT id FROM users WHERE is_active",
}
SEEN_BY_BOTH = {
    "a column added": "ALTER TABLE users ADD COLUMN phone text",
    "a column's type": "ALTER TABLE users ALTER name TYPE varchar(100)",
    "NOT NULL removed": "ALTER TABLE users ALTER name DROP NOT NULL",
    "a column's comment": "COMMENT ON COLUMN users.email IS 'Whatever'",
    "a unique key removed": "ALTER TABLE users DROP CONSTRAINT uq_users_email",
    "a foreign key without its cascade": """
        ALTER TABLE sessions DROP CONSTRAINT fk_sessions_user_id_users;
        ALTER TABLE sessions ADD CONSTRAINT fk_sessions_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
    """,
}


@pytest.mark.usefixtures("events")
async def test_migrations_and_models_agree(empty: TestSettings) -> None:
    assert await find_drift(empty().database, metadata, MIGRATIONS) == []


@dataclass(frozen=True)
class Changed:
    """Both opinions on a schema that somebody has changed."""

    ours: list[str]
    alembics: list[object]


class Schemas:
    """A migrated schema that is changed and put back, and the models' own to compare with."""

    def __init__(self, raw: Raw, engine: AsyncConnection, modelled: Snapshot) -> None:
        self._raw, self._engine, self._modelled = raw, engine, modelled

    async def changed(self, sql: str) -> Changed:
        """Change, look, roll back: so one database serves every case."""
        for statement in filter(str.strip, [sql] if "FUNCTION" in sql else sql.split(";")):
            await self._engine.exec_driver_sql(statement)
        try:
            ours = differences(await snapshot(self._raw), self._modelled)
            return Changed(ours, await self._engine.run_sync(alembic_check, metadata))
        finally:
            await self._engine.rollback()


def alembic_check(connection: Connection, models: MetaData) -> list[object]:
    """The comparison behind `alembic check`, with the options of a fresh project."""
    return list(compare_metadata(MigrationContext.configure(connection), models))


@pytest.fixture
async def schemas(migrated: TestSettings) -> AsyncIterator[Schemas]:
    database = migrated().database
    modelled = await modelled_schema(database, metadata)
    async with direct_connection(database) as raw, engine_on(raw).connect() as engine:
        yield Schemas(raw, engine, modelled)


async def test_every_drift_is_seen_by_us_and_many_not_by_alembic(schemas: Schemas) -> None:
    nothing = await schemas.changed("SELECT 1")
    assert (nothing.ours, nothing.alembics) == ([], []), "without a change both must be silent"

    for name, sql in {**UNSEEN_BY_ALEMBIC, **SEEN_BY_BOTH}.items():
        seen = await schemas.changed(sql)

        assert seen.ours, f"{name}: we do not see it"
        assert bool(seen.alembics) == (name in SEEN_BY_BOTH), f"{name}: Alembic says {seen.alembics}"


async def test_a_difference_names_the_object_and_both_definitions(schemas: Schemas) -> None:
    changed = await schemas.changed("ALTER TABLE users ALTER role SET DEFAULT 'admin'")
    added = await schemas.changed("ALTER TABLE users ADD COLUMN phone text")
    removed = await schemas.changed("DROP INDEX ix_tasks_lease")

    assert changed.ours[0].splitlines() == [
        "column users.role:",
        "  migrations: text; not null; default 'admin'::text",
        "  models:     text; not null; default 'user'::text",
    ]
    assert added.ours == ["column users.phone: only the migrations make it: text"]
    assert removed.ours[0].startswith("index ix_tasks_lease: only the models have it: CREATE INDEX ix_tasks_lease ON")
