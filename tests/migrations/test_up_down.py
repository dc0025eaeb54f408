"""Every revision goes up, down and up again, and each way leads to the same schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.typing import EventDict

from app.core.migrations import RevisionFailed, SchemaMismatch, UnknownTarget, migrate_down, migrate_up, read_history
from app.core.migrations.catalog import Snapshot, snapshot
from app.core.migrations.connection import direct_connection
from tests.harness.settings import TestSettings
from tests.migrations.conftest import AddRevision, Connect

HISTORY = read_history()


async def schema_of(settings: TestSettings) -> Snapshot:
    async with direct_connection(settings().database) as connection:
        return await snapshot(connection)


@pytest.mark.usefixtures("events")
async def test_each_revision_up_down_up_gives_the_same_schema_again(empty: TestSettings) -> None:
    database = empty().database
    before = await schema_of(empty)
    for revision in HISTORY.revisions:
        await migrate_up(database, revision.id)
        there = await schema_of(empty)
        assert there != before, f"{revision.file} changes nothing that the snapshot sees"

        await migrate_down(database, "-1")
        assert await schema_of(empty) == before, f"{revision.file} does not undo what it does"

        await migrate_up(database, "+1")
        assert await schema_of(empty) == there, f"{revision.file} is not the same the second time"
        before = there


@pytest.mark.usefixtures("events")
async def test_all_the_way_down_leaves_nothing_and_up_again_gives_the_same(migrated: TestSettings) -> None:
    top = await schema_of(migrated)

    down = await migrate_down(migrated().database, "base")
    bottom = await schema_of(migrated)
    up = await migrate_up(migrated().database)

    assert [revision.id for revision in down.ran] == list(reversed(HISTORY.ids))
    assert set(bottom) == {"extension plpgsql"}
    assert [revision.id for revision in up.ran] == HISTORY.ids
    assert await schema_of(migrated) == top


async def test_a_second_run_finds_nothing_to_do(migrated: TestSettings, events: list[EventDict]) -> None:
    outcome = await migrate_up(migrated().database)

    assert outcome.ran == ()
    assert outcome.current == HISTORY.head
    assert [event["event"] for event in events] == ["migrated"]


async def test_each_revision_is_told_with_its_time(empty: TestSettings, events: list[EventDict]) -> None:
    await migrate_up(empty().database, "0002")

    assert [(event["event"], event.get("revision")) for event in events] == [
        ("revision_applying", "0001"),
        ("revision_applied", "0001"),
        ("revision_applying", "0002"),
        ("revision_applied", "0002"),
        ("migrated", "0002"),
    ]
    assert all(event["milliseconds"] >= 0 for event in events if event["event"] == "revision_applied")


@pytest.mark.usefixtures("events")
async def test_a_failing_revision_leaves_its_predecessors_and_nothing_of_itself(
    empty: TestSettings, folder: Path, add_revision: AddRevision, client: Connect
) -> None:
    add_revision("CREATE TABLE half (id int)")
    bad = add_revision("DO $$ BEGIN CREATE TABLE other (id int); PERFORM 1/0; END $$")

    with pytest.raises(RevisionFailed, match=rf"Revision {bad} \({bad}_test.py\) failed: .*division by zero"):
        await migrate_up(empty().database, folder=folder)

    session = await client(empty)
    assert await session.fetchval("SELECT version_num FROM alembic_version") == f"{int(bad) - 1:04d}"
    assert await session.fetchrow("SELECT to_regclass('half'), to_regclass('other')") == ("half", None)


@pytest.mark.usefixtures("events")
async def test_a_statement_that_runs_too_long_is_ended(
    migrated: TestSettings, folder: Path, add_revision: AddRevision
) -> None:
    add_revision("SELECT pg_sleep(30)")
    settings = migrated("database.migration_statement_timeout=1", "database.migration_lock_timeout=0.1")

    with pytest.raises(RevisionFailed, match=r"ran into database\.migration_statement_timeout = 1 s"):
        await migrate_up(settings.database, folder=folder)


@pytest.mark.usefixtures("events")
async def test_a_schema_from_a_newer_release_is_left_alone(migrated: TestSettings, client: Connect) -> None:
    session = await client(migrated)
    await session.execute("UPDATE alembic_version SET version_num = '9999'")

    for migrate in (migrate_up, migrate_down):
        with pytest.raises(SchemaMismatch, match=f"at revision 9999.*it expects {HISTORY.head}"):
            await migrate(migrated().database)


async def test_an_unknown_target_is_refused_with_the_known_ones(migrated: TestSettings) -> None:
    with pytest.raises(UnknownTarget, match=r"no revision 0815. Known are: base, 0001, .*, head"):
        await migrate_up(migrated().database, "0815")
