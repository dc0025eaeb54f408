"""The scripts around the containers: services for tests, offline images, the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.containers import LIMIT, inspect
from tests.e2e.project import ROOT
from tests.e2e.stack import left_of

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("images"), pytest.mark.timeout(300)]

ASK_BOTH = """
import asyncio, asyncpg, os, redis

async def main():
    database = await asyncpg.connect(os.environ["TEST_DATABASE_URL"])
    settings = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
    print(*[await database.fetchval(f"SHOW {name}") for name in settings])
    await database.close()

asyncio.run(main())
with redis.from_url(os.environ["TEST_REDIS_URL"]) as client:
    print(client.ping(), client.config_get("save"))
"""


def script(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=LIMIT, check=False
    )


def test_tests_get_services_on_tmpfs_without_durability_and_leave_nothing(tmp_path: Path) -> None:
    project = f"plinth-e2e-{uuid4().hex[:8]}"
    ask = tmp_path / "ask.py"
    ask.write_text(ASK_BOTH)

    asked = script(
        *("docker/test-compose", sys.executable, str(ask)),
        COMPOSE_PROJECT_NAME=project,
        TEST_POSTGRES_PORT="0",
        TEST_REDIS_PORT="0",
    )

    assert asked.stdout.splitlines() == ["off off off off", "True {'save': ''}"], asked.stderr
    assert left_of(f"{project}-test") == {"containers": [], "networks": [], "volumes": []}


def test_failing_tests_fail_the_command_and_leave_nothing() -> None:
    project = f"plinth-e2e-{uuid4().hex[:8]}"

    failed = script(
        *("docker/test-compose", sys.executable, "-c", "raise SystemExit(5)"),
        COMPOSE_PROJECT_NAME=project,
        TEST_POSTGRES_PORT="0",
        TEST_REDIS_PORT="0",
    )

    assert failed.returncode == 5
    assert left_of(f"{project}-test") == {"containers": [], "networks": [], "volumes": []}


FAILS_TO_TAKE_DOWN = """#!/bin/sh
case "$*" in
    *" port "*) echo 127.0.0.1:1 ;;
    *" down "*) echo "the engine has gone" >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize("code", [0, 5])
def test_the_verdict_is_that_of_the_tests_also_where_services_cannot_be_taken_down(tmp_path: Path, code: int) -> None:
    (tmp_path / "docker").write_text(FAILS_TO_TAKE_DOWN)
    (tmp_path / "docker").chmod(0o755)

    ended = script("docker/test-compose", "sh", "-c", f"exit {code}", PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert ended.returncode == code
    assert "the engine has gone" in ended.stderr


def test_default_ports_of_the_test_services_are_their_own() -> None:
    shown = script("docker", "compose", "--file", "compose.test.yaml", "config").stdout

    assert 'published: "5433"' in shown
    assert 'published: "6380"' in shown


def test_offline_images_leaves_present_images_alone() -> None:
    images = ("postgres:18", "redis:8", "python:3.13-slim")
    before = [inspect("image", image)["Id"] for image in images]

    built = script("docker/offline/build.sh")

    assert built.returncode == 0
    assert all(f"{image} is present" in built.stderr for image in images)
    assert [inspect("image", image)["Id"] for image in images] == before


def test_engine_start_leaves_an_engine_alone_that_answers() -> None:
    started = script(".ci/engine", "start")

    assert started.returncode == 0
    assert "answers already" in started.stderr
