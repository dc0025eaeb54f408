"""Docker's own troubles, from what its client prints."""

from __future__ import annotations

import pytest

from app.doctor import Status
from app.doctor.checks.engine import IMAGES, compose, engine, images
from tests.doctor import recordings
from tests.doctor.project import Project, Recorded


async def test_no_client_is_a_warning_because_make_run_needs_none(project: Project) -> None:
    finding = await project.finding(engine)

    assert finding.status is Status.WARNING
    assert finding.seen == "there is no Docker client on the PATH; make run needs none, containers do"
    assert finding.remedy.startswith("sudo .ci/engine start")


@pytest.mark.parametrize("said", [recordings.NOT_RUNNING, recordings.NOT_RUNNING_29])
async def test_engine_that_does_not_run(project: Project, said: Recorded) -> None:
    project.docker(version=said)

    finding = await project.finding(engine)

    assert finding.status is Status.WARNING
    assert "no engine runs" in finding.seen
    assert finding.remedy.startswith("sudo systemctl start docker")


async def test_engine_at_a_docker_host_of_the_shell(project: Project) -> None:
    project.environ["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    project.docker(version=recordings.NOT_RUNNING)

    finding = await project.finding(engine)

    assert finding.seen == "no Docker engine answers at DOCKER_HOST=tcp://127.0.0.1:1"
    assert finding.remedy == "unset DOCKER_HOST"


@pytest.mark.parametrize("said", [recordings.DENIED, recordings.DENIED_29])
async def test_socket_that_refuses_this_user(project: Project, said: Recorded) -> None:
    project.docker(version=said)

    finding = await project.finding(engine)

    assert finding.status is Status.WARNING
    assert "refuses this user" in finding.seen
    assert finding.remedy == 'sudo usermod -aG docker "$USER" && newgrp docker'


async def test_client_that_fails_otherwise_is_quoted(project: Project) -> None:
    project.docker(version=recordings.NO_CONTEXT)

    finding = await project.finding(engine)

    assert finding.status is Status.WARNING
    assert 'context "foo": context not found' in finding.seen
    assert finding.remedy.splitlines()[0] == "docker context use default"


async def test_engine_too_old_for_the_health_checks(project: Project) -> None:
    project.docker(version=recordings.ENGINE_24)

    finding = await project.finding(engine)

    assert finding.status is Status.WARNING
    assert finding.seen.startswith("engine 24.0.7 is older than 25")


async def test_engine_that_answers(project: Project) -> None:
    project.docker(version=recordings.ENGINE)

    finding = await project.finding(engine)

    assert (finding.status, finding.seen) == (Status.OK, "Docker engine 26.1.5+dfsg1 answers")


async def test_engine_that_hangs_is_given_up(project: Project) -> None:
    project.write("bin/docker", "#!/bin/sh\nexec /bin/sleep 600\n").chmod(0o755)

    finding = await project.unhurried().finding(engine)

    assert finding.status is Status.WARNING
    assert finding.seen == "the Docker engine does not answer (no answer within 4 s)"
    assert finding.remedy.startswith("sudo systemctl restart docker")


@pytest.mark.parametrize("said", [recordings.NO_COMPOSE, recordings.NO_COMPOSE_28])
async def test_engine_without_compose(project: Project, said: Recorded) -> None:
    project.docker(version=recordings.ENGINE, compose_version=said)

    finding = await project.finding(compose)

    assert finding.status is Status.WARNING
    assert finding.seen.startswith("Docker has no compose v2 (docker: ")
    assert finding.remedy.startswith("sudo apt-get install docker-compose-v2")


async def test_compose_too_old(project: Project) -> None:
    project.docker(compose_version=recordings.COMPOSE_2_17)

    finding = await project.finding(compose)

    assert (finding.status, finding.seen) == (Status.WARNING, "compose 2.17.3 is older than 2.22")


async def test_compose_is_skipped_without_a_client(project: Project) -> None:
    finding = await project.finding(compose)

    assert (finding.status, finding.seen) == (Status.SKIPPED, "there is no Docker client")


async def test_compose_that_will_do(project: Project) -> None:
    project.docker(compose_version=recordings.COMPOSE)

    assert (await project.finding(compose)).status is Status.OK


async def test_missing_image_without_a_registry(project: Project) -> None:
    project.docker(version=recordings.ENGINE, image_ls=recordings.NO_POSTGRES, manifest_inspect=recordings.NO_REGISTRY)

    finding = await project.finding(images)

    assert finding.status is Status.WARNING
    assert finding.seen.startswith("postgres:18 missing, and no registry gives them")
    assert finding.remedy == "make offline-images"


async def test_missing_image_is_no_trouble_where_a_registry_answers(project: Project) -> None:
    project.docker(version=recordings.ENGINE, image_ls=recordings.NO_POSTGRES, manifest_inspect=recordings.MANIFEST)

    finding = await project.finding(images)

    assert finding.status is Status.OK
    assert finding.seen.startswith("postgres:18 will be fetched when first needed")


async def test_images_that_are_here(project: Project) -> None:
    project.docker(version=recordings.ENGINE, image_ls=recordings.ALL_IMAGES)

    assert (await project.finding(images)).status is Status.OK


async def test_images_are_skipped_without_an_engine(project: Project) -> None:
    project.docker(version=recordings.NOT_RUNNING)

    assert (await project.finding(images)).status is Status.SKIPPED


@pytest.mark.docker
async def test_real_engine_compose_and_images_are_understood(project: Project) -> None:
    project = project.with_real_docker()

    found = [await project.finding(check) for check in (engine, compose, images)]

    assert [finding.status for finding in found] == [Status.OK] * 3
    assert found[2].seen == f"{', '.join(IMAGES)} are here" or "will be fetched" in found[2].seen


@pytest.mark.docker
async def test_real_client_without_its_engine_is_understood(project: Project) -> None:
    project.environ["DOCKER_HOST"] = f"unix://{project.root}/no.sock"

    finding = await project.with_real_docker().finding(engine)

    assert finding.status is Status.WARNING
    assert finding.remedy == "unset DOCKER_HOST"
