"""In an image there is no checkout: no make, no Docker, and no remedy that needs them."""

from __future__ import annotations

import socket

import pytest

from app.doctor import Status, examine
from tests.doctor.project import Project, can_be_typed
from tests.harness.settings import SECRETS


@pytest.fixture
def image(project: Project, own_port: int) -> Project:
    """What the Dockerfile copies, with the settings of production."""
    for name in ("Makefile", "compose.yaml"):
        (project.root / name).unlink()
    project.environ.update(
        APP_ENV="production",
        DB_PASSWORD="made-up-for-tests",
        **SECRETS,
        DB_PORT=str(own_port),
        REDIS_URL="redis://127.0.0.1:1/0",
    )
    return project


async def test_what_belongs_to_a_checkout_is_skipped(image: Project) -> None:
    findings = {finding.check: finding.status for finding in await examine(image.patient())}

    skipped = {check for check, status in findings.items() if status is Status.SKIPPED}
    assert skipped >= {"venv", "folders", "disk", "engine", "compose", "images", "compose-ports", "volume"}
    assert (findings["database"], findings["redis"]) == (Status.FAILED, Status.WARNING)


async def test_no_remedy_needs_make_or_docker(image: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        image.environ["PORT"] = str(listener.getsockname()[1])
        findings = await examine(image.patient())

    remedies = "\n".join(finding.remedy for finding in findings)
    assert "app serve" in remedies
    assert "make " not in remedies
    assert "docker" not in remedies
    for finding in findings:
        can_be_typed(finding)
