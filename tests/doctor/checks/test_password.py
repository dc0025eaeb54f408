"""A password that no longer fits the data: the data's own server refuses it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from app.doctor import Status
from app.doctor.checks.database import database
from app.doctor.checks.password import password
from app.doctor.checks.schema import schema
from app.embedded import PostgresServer
from tests.doctor.project import Project

SECRET = ".local/secrets/database_password"


pytestmark = pytest.mark.xdist_group("doctor-database")


@pytest.fixture
def embedded(project: Project, own_postgres: PostgresServer) -> PostgresServer:
    """A running server whose data lie in `.local/postgres`, as `make run` has it."""
    (project.root / ".local").mkdir()
    (project.root / ".local" / "postgres").symlink_to(own_postgres.data_dir)
    return own_postgres


async def test_password_that_fits(project: Project, embedded: PostgresServer) -> None:
    project.write(SECRET, embedded.password)

    findings = [await project.finding(check) for check in (database, password, schema)]

    assert [finding.status for finding in findings] == [Status.OK, Status.OK, Status.WARNING]
    assert findings[1].seen == f"it fits; it comes from: generated in {SECRET}"


@pytest.mark.usefixtures("embedded")
async def test_secret_newer_than_the_data_folder(project: Project) -> None:
    project.write(SECRET, "second-password")

    findings = [await project.finding(check) for check in (database, password, schema)]

    assert [finding.status for finding in findings] == [Status.OK, Status.FAILED, Status.SKIPPED]
    assert ".local/postgres keeps the one it was made with on " in findings[1].seen
    assert f"and {SECRET} is newer: made on " in findings[1].seen
    assert findings[1].remedy.startswith("make run")
    assert "second-password" not in str(findings)


@pytest.mark.usefixtures("embedded")
async def test_secret_older_than_the_data_folder(project: Project) -> None:
    os.utime(project.write(SECRET, "second-password"), (0, 0))

    finding = await project.finding(password)

    assert finding.status is Status.FAILED
    assert finding.seen.endswith(f".local/postgres has been given another one than {SECRET} holds")


@pytest.mark.usefixtures("embedded")
async def test_password_of_the_shell_is_named_as_the_culprit(project: Project) -> None:
    project.environ["DB_PASSWORD"] = "third-password"

    finding = await project.finding(password)

    assert finding.status is Status.FAILED
    assert finding.seen.endswith("and the one from environment (DB_PASSWORD) is another")


async def test_foreign_server_is_not_asked_about_our_data(project: Project, own_postgres: PostgresServer) -> None:
    finding = await project.finding(password, f"database.port={own_postgres.port}")

    assert finding.status is Status.SKIPPED
    assert finding.seen == "the server that refuses it is not ours: see database"


@pytest.fixture
def stack(open_project: Project, own_port: int) -> Iterator[Project]:
    """The stack's PostgreSQL with a volume of its own, made with the first password."""
    project = open_project.with_real_docker()
    project.write(SECRET, "first-password").chmod(0o644)
    port = str(own_port)
    project.environ.update(COMPOSE_PROJECT_NAME=f"doctor-{port}", POSTGRES_PORT=port, APP_DATABASE__PORT=port)
    compose(project, "up", "--detach", "--wait", "postgres")
    yield project
    compose(project, "down", "--volumes", "--timeout", "0")


def compose(project: Project, *arguments: str) -> None:
    shell(project, " ".join(["docker compose", *arguments]))


def shell(project: Project, command: str) -> None:
    """As a person types it, in the project's folder; with this machine's own tools."""
    environ = {**project.environ, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=project.root, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.docker
async def test_volume_keeps_its_password_until_the_remedy_is_typed(stack: Project) -> None:
    stack.write(SECRET, "second-password").chmod(0o644)

    finding = await stack.finding(password)
    keeping_the_data = finding.remedy.splitlines()[0]
    shell(stack, keeping_the_data)
    afterwards = await stack.finding(password)

    assert finding.status is Status.FAILED
    assert f"the volume {stack.environ['COMPOSE_PROJECT_NAME']}_postgres keeps the one it was made with" in finding.seen
    assert f"{SECRET} is newer" in finding.seen
    assert afterwards.status is Status.OK
