"""Servers that can't be migrated: too old, away, behind a pooler, or not letting us."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from app.core.database import DatabaseUnavailable, UnsupportedServer, WrongPassword
from app.core.migrations import DirectConnectionNeeded, ScratchRefused, migrate_up, schema_report
from app.core.migrations.connection import refuse_old_server
from app.core.migrations.scratch import scratch_database
from app.embedded import PostgresServer, cluster, postgres, start_postgres
from app.embedded.binaries import postgres_program
from app.embedded.folder import Folder
from tests.harness.settings import TestSettings, make_settings
from tests.migrations.conftest import NO_REDIS, Connect
from tests.migrations.migrator import launch

initdb = cluster._run

pytestmark = pytest.mark.usefixtures("events")


def old_program(name: str) -> Path:
    """PostgreSQL 16, which lies in the wheel beside 18 so that a cluster can be upgraded from it."""
    return postgres_program(name).parents[2] / "pginstall" / "bin" / name


async def old_initdb(program: str, options: tuple[str, ...], folder: Folder) -> None:
    """PostgreSQL 16 has no locales of its own."""
    kept = [option for option in options if "locale" not in option]
    await initdb(program, (*kept, "--no-locale"), folder)


async def start_old(folder: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    for module in (cluster, postgres):
        monkeypatch.setattr(module, "postgres_program", old_program)
    monkeypatch.setattr(cluster, "_run", old_initdb)
    try:
        return await start_postgres(folder, user="plinth", password="old", database="plinth", durable=False)
    finally:
        monkeypatch.undo()


async def test_a_real_postgresql_16_is_refused_with_exit_4(
    tmp_path: Path, settings_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not old_program("postgres").exists():
        pytest.skip("this platform's wheel holds PostgreSQL 18 only; the next test stands in")
    server = await start_old(tmp_path / "postgres", monkeypatch)
    try:
        settings = make_settings(settings_root, database_url=server.url, redis_url=NO_REDIS)
        with pytest.raises(UnsupportedServer, match="PostgreSQL 16, but Plinth needs 18"):
            await schema_report(settings().database)
        async with launch(settings, "up") as migrator:
            ended = await migrator.end()
    finally:
        await server.stop()

    assert ended.code == 4
    assert "PostgreSQL 18 or newer is needed" in ended.stderr


@pytest.mark.parametrize("major", [9, 17])
def test_older_versions_are_refused(major: int) -> None:
    with pytest.raises(UnsupportedServer, match=f"This server is PostgreSQL {major}, but Plinth needs 18 or newer"):
        refuse_old_server(major)


@pytest.mark.parametrize("major", [18, 19])
def test_18_and_newer_are_taken(major: int) -> None:
    refuse_old_server(major)


async def test_a_server_that_is_away(migrated: TestSettings, own_port: int) -> None:
    away = migrated("database.host=127.0.0.1", f"database.port={own_port}", "database.start_timeout=0.2")

    with pytest.raises(DatabaseUnavailable, match=r"could not be reached within 0\.2 s"):
        await migrate_up(away.database)
    with pytest.raises(DatabaseUnavailable, match="can't be reached: "):
        await schema_report(away.database)


async def test_a_wrong_password_is_not_waited_for(migrated: TestSettings) -> None:
    with pytest.raises(WrongPassword):
        await migrate_up(migrated("database.password=wrong").database)


async def test_a_pooler_in_transaction_mode_is_refused_with_the_way_round_it(migrated: TestSettings) -> None:
    with pytest.raises(DirectConnectionNeeded, match=r"app --set database\.pooler_mode=session"):
        await migrate_up(migrated("database.pooler_mode=transaction").database)


async def test_a_role_that_may_not_create_databases_is_told_what_it_lacks(
    migrated: TestSettings, client: Connect
) -> None:
    session, role = await client(migrated), f"small_{secrets.token_hex(4)}"
    await session.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'small-enough'")
    small = migrated(f"database.user={role}", "database.password=small-enough").database
    try:
        with pytest.raises(ScratchRefused, match=f"ALTER ROLE {role} CREATEDB;"):
            await scratch_database(small).__aenter__()
    finally:
        await session.execute(f"DROP ROLE {role}")


async def test_a_scratch_database_is_gone_afterwards_whatever_happens(migrated: TestSettings, client: Connect) -> None:
    session = await client(migrated)
    exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
    scratch = scratch_database(migrated().database)
    name = (await scratch.__aenter__()).name
    assert await session.fetchval(exists, name)

    swallowed = await scratch.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)

    assert not swallowed
    assert not await session.fetchval(exists, name)
