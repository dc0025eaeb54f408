"""PostgreSQL 18 with its volume where it belonged up to 17."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from app.doctor import Status
from app.doctor.checks.volume import volume
from tests.doctor import recordings
from tests.doctor.project import Project, Recorded

OLD = "/var/lib/postgresql/data"
OVERRIDE = f"""
services:
  postgres:
    volumes: !override ["postgres:{OLD}"]
"""


def config(target: str, image: str = "postgres:18", **environment: str) -> Recorded:
    """What `docker compose config` prints, shortened to what is read of it."""
    mount = {"type": "volume", "source": "postgres", "target": target}
    service = {"image": image, "environment": environment, "volumes": [mount]}
    return Recorded(json.dumps({"name": "main", "services": {"postgres": service}, "volumes": {"postgres": {}}}))


async def test_override_that_mounts_the_old_place(project: Project) -> None:
    project.write("compose.override.yaml", OVERRIDE)
    project.docker(compose_version=recordings.COMPOSE, compose=config(OLD))

    finding = await project.finding(volume)

    assert finding.status is Status.FAILED
    assert finding.seen.startswith(f"service postgres mounts its volume at {OLD}")
    assert finding.remedy.splitlines()[0] == f"perl -pi -e 's#{OLD}#/var/lib/postgresql#' compose.override.yaml"


@pytest.mark.parametrize(
    "right",
    [
        config("/var/lib/postgresql"),
        config(OLD, image="postgres:17"),
        config(OLD, PGDATA=OLD),
    ],
    ids=["new place", "older image", "PGDATA moved back"],
)
async def test_places_that_are_right(project: Project, right: Recorded) -> None:
    project.docker(compose_version=recordings.COMPOSE, compose=right, version=recordings.NOT_RUNNING)

    assert (await project.finding(volume)).status is Status.OK


async def test_volume_is_skipped_without_compose(project: Project) -> None:
    assert (await project.finding(volume)).status is Status.SKIPPED


@pytest.fixture
def old_container(project: Project) -> Iterator[str]:
    """A container of this project, made and never started, with its volume at the old place."""
    name = f"doctor-volume-{project.root.parent.name.replace('_', '-')}"
    project.environ["COMPOSE_PROJECT_NAME"] = name
    label = f"com.docker.compose.project={name}"
    mount = f"{name}:{OLD}"
    docker("container", "create", "--name", name, "--label", label, "--volume", mount, "postgres:18")
    yield name
    docker("container", "rm", "--force", "--volumes", name)
    docker("volume", "rm", "--force", name)


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True)


@pytest.mark.docker
async def test_real_container_made_at_the_old_place(project: Project, old_container: str) -> None:
    finding = await project.with_real_docker().finding(volume)

    assert finding.status is Status.FAILED
    assert finding.seen.startswith(f"container {old_container} was made with a volume at {OLD}")
    assert finding.remedy == "docker compose up --detach --force-recreate postgres"


@pytest.mark.docker
async def test_real_override_is_read(project: Project) -> None:
    project.write("compose.override.yaml", OVERRIDE)
    project.environ["COMPOSE_PROJECT_NAME"] = "doctor-override"

    finding = await project.with_real_docker().finding(volume)

    assert finding.status is Status.FAILED
    assert finding.remedy.splitlines()[0].endswith(" compose.override.yaml")
