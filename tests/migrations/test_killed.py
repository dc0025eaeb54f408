"""A migrator that is killed in the middle: the next one finishes its work, and need not wait for its ghost."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from structlog.typing import EventDict

from app.core.migrations import InvalidIndexes, migrate_up, read_history
from app.core.migrations.connection import NAME
from app.core.migrations.lock import KEY
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.migrations.conftest import Connect
from tests.migrations.migrator import Migrator, launch

HEAD = read_history().head

# Long enough that nothing but the kill ends the wait.
PATIENT = {"APP_DATABASE__MIGRATION_LOCK_TIMEOUT": "60"}

WAITING_FOR = """
SELECT locktype FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE application_name = $1 AND datname = current_database() AND NOT granted
"""
LOCK_IS_FREE = "SELECT pg_try_advisory_lock($1) AND pg_advisory_unlock($1)"
INDEX_IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_users_created_at')"

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("events")]


async def kill_while_it_waits_for(locktype: str, migrator: Migrator, observer: asyncpg.Connection) -> None:
    """SIGKILL it there; its session must then end by itself, though what it waits for is still held.

    `observer` has no transaction open: inside one, pg_stat_activity stands still.
    """
    ending = asyncio.create_task(migrator.end())

    async def it_waits() -> bool:
        assert not ending.done(), ending.result().stderr
        return bool(await observer.fetchval(WAITING_FOR, NAME) == locktype)

    await eventually(it_waits, within=30)
    migrator.kill()
    ended = await ending

    async def the_lock_is_free() -> bool:
        return bool(await observer.fetchval(LOCK_IS_FREE, KEY))

    assert ended.code == -9
    await eventually(the_lock_is_free, within=10)


async def test_killed_in_the_middle_of_a_revision(empty: TestSettings, client: Connect) -> None:
    await migrate_up(empty().database, "0004")
    session, observer = await client(empty), await client(empty)
    async with launch(empty, "up", **PATIENT) as migrator, session.transaction():
        # 0005 makes its type, then its table with a foreign key to this one.
        await session.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        await kill_while_it_waits_for("relation", migrator, observer)
    assert await session.fetchval("SELECT to_regtype('token_type')") is None, "half a revision was left"

    outcome = await migrate_up(empty().database)

    assert outcome.ran[0].id == "0005"
    assert outcome.current == HEAD


async def test_cancelled_in_the_middle_of_a_revision(empty: TestSettings, client: Connect) -> None:
    await migrate_up(empty().database, "0004")
    session, observer = await client(empty), await client(empty)
    settings = empty("database.migration_lock_timeout=60")

    async def it_waits() -> bool:
        return bool(await observer.fetchval(WAITING_FOR, NAME) == "relation")

    async with session.transaction():
        await session.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        migrating = asyncio.create_task(migrate_up(settings.database))
        await eventually(it_waits, within=10)
        migrating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await migrating

    assert (await migrate_up(empty().database)).ran[0].id == "0005"


async def test_killed_in_the_middle_of_a_concurrent_build(empty: TestSettings, client: Connect) -> None:
    await migrate_up(empty().database, "0002")
    session, observer = await client(empty), await client(empty)
    async with launch(empty, "up", **PATIENT) as migrator, session.transaction():
        await session.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        await kill_while_it_waits_for("virtualxid", migrator, observer)
    assert await session.fetchval(INDEX_IS_VALID) is False, "the kill left no half-built index to test with"

    outcome = await migrate_up(empty().database)

    assert outcome.ran[0].id == "0003"
    assert await session.fetchval(INDEX_IS_VALID) is True


async def test_killed_between_a_concurrent_build_and_its_line_in_the_version_table(
    migrated: TestSettings, client: Connect
) -> None:
    session = await client(migrated)
    before = await session.fetchval("SELECT 'ix_users_created_at'::regclass::oid")
    await session.execute("DELETE FROM alembic_version")
    await session.execute("INSERT INTO alembic_version VALUES ('0002')")

    await migrate_up(migrated().database, "0003")

    assert await session.fetchval("SELECT 'ix_users_created_at'::regclass::oid") == before


async def test_a_half_built_index_from_elsewhere_is_named_with_its_remedy(
    migrated: TestSettings, client: Connect, events: list[EventDict]
) -> None:
    session = await client(migrated)
    await session.execute("INSERT INTO users (email, name, password_hash) VALUES ('a@b', 'A', '-'), ('c@d', 'A', '-')")
    with pytest.raises(asyncpg.UniqueViolationError):
        await session.execute("CREATE UNIQUE INDEX CONCURRENTLY uq_users_name ON users (name)")

    with pytest.raises(InvalidIndexes) as named:
        await migrate_up(migrated().database)

    assert "Index uq_users_name on users is INVALID" in str(named.value)
    assert "REINDEX INDEX CONCURRENTLY uq_users_name;" in str(named.value)
    assert events == []

    await session.execute("UPDATE users SET name = email")
    await session.execute("REINDEX INDEX CONCURRENTLY uq_users_name")
    assert (await migrate_up(migrated().database)).ran == ()
