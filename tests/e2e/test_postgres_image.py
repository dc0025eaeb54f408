"""`postgres:18`, pulled or built offline, keeps the official image's contract with its environment."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.containers import CommandFailed, container, docker, exit_code, inspect, output, run, stop, volume
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("images")]

IMAGE = "postgres:18"
HOST = "database"
PASSWORD = "made-up-for-tests"
FAST = ("--env", "POSTGRES_INITDB_ARGS=--no-sync")
TRUSTING = ("--env", "POSTGRES_HOST_AUTH_METHOD=trust", *FAST)


def password_file(folder: Path, *, password: str = PASSWORD) -> tuple[str, ...]:
    """Options that give the password as a file that any user may read."""
    path = folder / "password"
    path.write_text(f"{password}\n")
    path.chmod(0o644)
    return ("--env", "POSTGRES_PASSWORD_FILE=/run/password", "--volume", f"{path}:/run/password:ro", *FAST)


def scripts(folder: Path) -> tuple[str, ...]:
    """Options that run the folder's files at the first start."""
    folder.chmod(0o755)
    return ("--volume", f"{folder}:/docker-entrypoint-initdb.d:ro")


@contextmanager
def postgres(*options: str, command: tuple[str, ...] = ()) -> Iterator[str]:
    with container(IMAGE, *command, options=("--hostname", HOST, *options)) as name:
        yield name


def query(name: str, sql: str, *, user: str = "postgres", database: str = "postgres", password: str = PASSWORD) -> str:
    """One value, asked over the network: the image trusts its own loopback without a password."""
    address = f"host={HOST} user={user} dbname={database} connect_timeout=3"
    return docker("exec", "--env", f"PGPASSWORD={password}", name, "psql", "-XAtq", "-d", address, "-c", sql)


async def answering(name: str, *, user: str = "postgres", database: str = "postgres") -> None:
    await eventually(lambda: query(name, "SELECT 1", user=user, database=database) == "1", within=30)


async def test_user_password_and_database_come_from_the_environment(tmp_path: Path) -> None:
    named = ("--env", "POSTGRES_USER=plinth", "--env", "POSTGRES_DB=books")

    with postgres(*named, *password_file(tmp_path)) as name:
        await answering(name, user="plinth", database="books")

        assert query(name, "SHOW server_version_num", user="plinth", database="books").startswith("18")
        with pytest.raises(CommandFailed, match="password authentication failed"):
            query(name, "SELECT 1", user="plinth", database="books", password="wrong")


def test_no_password_is_refused_with_the_ways_out() -> None:
    with postgres() as name:
        assert exit_code(name) == 1
        assert "POSTGRES_PASSWORD" in output(name)
        assert "POSTGRES_HOST_AUTH_METHOD=trust" in output(name)


def test_password_and_its_file_together_are_refused(tmp_path: Path) -> None:
    with postgres("--env", f"POSTGRES_PASSWORD={PASSWORD}", *password_file(tmp_path)) as name:
        assert exit_code(name) == 1
        assert "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set" in output(name)


async def test_first_start_runs_the_scripts_in_order_without_listening_to_tcp(tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_text("CREATE TABLE step (name text);")
    (tmp_path / "2.sh").write_text(
        "pg_isready --host=127.0.0.1 --timeout=2 && tcp=open || tcp=closed\n"
        'psql --username="$POSTGRES_USER" --command="INSERT INTO step VALUES (\'$tcp\')" "$POSTGRES_DB"\n'
    )
    (tmp_path / "3.sql.gz").write_bytes(gzip.compress(b"INSERT INTO step VALUES ('packed');"))

    with postgres(*TRUSTING, *scripts(tmp_path)) as name:
        await answering(name)

        assert query(name, "SELECT string_agg(name, ' ') FROM step") == "closed packed"


async def test_failing_script_ends_the_first_start(tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_text("SELECT no_such_column;")

    with postgres(*TRUSTING, *scripts(tmp_path)) as name:
        assert exit_code(name) != 0
        assert "no_such_column" in output(name)


async def test_volume_keeps_the_data_and_the_first_password(tmp_path: Path) -> None:
    with volume() as data:
        mounted = ("--volume", f"{data}:/var/lib/postgresql")
        with postgres(*mounted, *password_file(tmp_path)) as name:
            await answering(name)
            query(name, "CREATE TABLE kept AS SELECT 42 AS value")
            stop(name)

        with postgres(*mounted, *password_file(tmp_path, password="another")) as name:
            await answering(name)

            assert query(name, "SELECT value FROM kept") == "42"
            with pytest.raises(CommandFailed, match="password authentication failed"):
                query(name, "SELECT 1", password="another")


def test_volume_at_the_place_of_older_versions_is_refused() -> None:
    with volume() as data, postgres(*TRUSTING, "--volume", f"{data}:/var/lib/postgresql/data") as name:
        assert exit_code(name) == 1
        assert "/var/lib/postgresql/data" in output(name)


@pytest.mark.parametrize("command", [("-c", "fsync=off"), ("postgres", "-c", "fsync=off")])
async def test_arguments_go_to_the_server(command: tuple[str, ...]) -> None:
    with postgres(*TRUSTING, command=command) as name:
        await answering(name)

        assert query(name, "SHOW fsync") == "off"


async def test_initdb_takes_its_arguments() -> None:
    options = (
        "--env",
        "POSTGRES_HOST_AUTH_METHOD=trust",
        "--env",
        "POSTGRES_INITDB_ARGS=--no-sync --no-data-checksums",
    )

    with postgres(*options) as name:
        await answering(name)

        assert query(name, "SHOW data_checksums") == "off"


async def test_server_runs_without_root_and_stops_clean() -> None:
    with postgres(*TRUSTING) as name:
        await answering(name)
        uid = docker("exec", name, "stat", "--format", "%U", "/proc/1")
        stop(name)

        assert uid == "postgres"
        assert inspect("container", name)["State"]["ExitCode"] == 0
        assert "database system is shut down" in output(name)


def test_layout_is_the_one_of_version_18() -> None:
    config = inspect("image", IMAGE)["Config"]

    assert "PGDATA=/var/lib/postgresql/18/docker" in config["Env"]
    assert list(config["Volumes"]) == ["/var/lib/postgresql"]
    assert config["StopSignal"] == "SIGINT"
    assert run(IMAGE, "postgres", "--version").startswith("postgres (PostgreSQL) 18")
