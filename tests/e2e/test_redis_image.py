"""`redis:8`, pulled or built offline, keeps the official image's contract."""

from __future__ import annotations

import pytest

from tests.e2e.containers import container, docker, inspect, run, stop
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("images")]

IMAGE = "redis:8"


def ask(name: str, *command: str) -> str:
    return docker("exec", name, "redis-cli", "-e", *command)


async def test_server_answers_other_containers_without_a_password() -> None:
    with container(IMAGE) as name:
        await eventually(lambda: ask(name, "ping") == "PONG", within=10)
        address = inspect("container", name)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]

        assert run(IMAGE, "redis-cli", "-h", address, "ping") == "PONG"
        assert "redis_version:8." in ask(name, "info", "server")


@pytest.mark.parametrize("command", [("--maxmemory", "64mb"), ("redis-server", "--maxmemory", "64mb")])
async def test_arguments_go_to_the_server(command: tuple[str, ...]) -> None:
    with container(IMAGE, *command) as name:
        await eventually(lambda: ask(name, "ping") == "PONG", within=10)

        assert ask(name, "config", "get", "maxmemory").split() == ["maxmemory", str(64 * 1024 * 1024)]


async def test_password_is_asked_for_where_one_is_set() -> None:
    with container(IMAGE, "--requirepass", "made-up") as name:
        await eventually(lambda: "PONG" in ask(name, "-a", "made-up", "ping"), within=10)

        assert "NOAUTH" in docker("exec", name, "redis-cli", "ping")


async def test_data_is_kept_in_its_folder_by_a_user_without_rights() -> None:
    with container(IMAGE) as name:
        await eventually(lambda: ask(name, "set", "key", "value") == "OK", within=10)
        ask(name, "save")

        assert docker("exec", name, "stat", "--format", "%U %a", "/data/dump.rdb") == "redis 600"
        assert docker("exec", name, "stat", "--format", "%U", "/proc/1") == "redis"


async def test_stop_ends_it_clean() -> None:
    with container(IMAGE) as name:
        await eventually(lambda: ask(name, "ping") == "PONG", within=10)
        stop(name)

        assert inspect("container", name)["State"]["ExitCode"] == 0
