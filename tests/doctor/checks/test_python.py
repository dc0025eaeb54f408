"""The interpreter and its packages."""

from __future__ import annotations

import sys
from importlib.metadata import version

from app.doctor import Status
from app.doctor.checks.python import python, venv
from tests.doctor.project import Project

HASH = " \\\n    --hash=sha256:00\n"


def install(project: Project, **packages: str) -> None:
    """What an installer leaves in a `.venv`."""
    for name, number in packages.items():
        folder = project.root / ".venv" / "lib" / "python3.11" / "site-packages" / f"{name}-{number}.dist-info"
        folder.mkdir(parents=True)


async def test_python_that_will_do(project: Project) -> None:
    finding = await project.finding(python)

    assert (finding.status, finding.seen.split()[1]) == (Status.OK, ".".join(map(str, sys.version_info[:3])))


async def test_python_older_than_the_project_asks_for(project: Project) -> None:
    project.write("pyproject.toml", '[project]\nname = "plinth"\nrequires-python = ">=3.99"\n')

    finding = await project.finding(python)

    assert finding.status is Status.FAILED
    assert finding.seen.endswith("but pyproject.toml asks for 3.99 or newer")
    assert finding.remedy == "rm -rf .venv && make install PYTHON=python3.99"


async def test_python_of_another_environment(project: Project) -> None:
    install(project)
    (project.root / ".venv").mkdir(exist_ok=True)

    finding = await project.finding(python)

    assert finding.status is Status.WARNING
    assert finding.seen.endswith(f"of {sys.prefix} runs this, not the one of .venv")


async def test_environment_that_holds_what_is_locked(project: Project) -> None:
    project.write("requirements-dev.txt", f"uuid-utils==0.12.0{HASH}ruff==0.14.1 ; sys_platform == 'none'{HASH}")
    install(project, uuid_utils="0.12.0")

    assert (await project.finding(venv)).status is Status.OK


async def test_environment_left_behind_by_the_lock(project: Project) -> None:
    project.write("requirements-dev.txt", f"quart==0.22.0{HASH}redis[hiredis]==8.1.0{HASH}Typing.Extensions==4.1{HASH}")
    install(project, quart="0.21.0", typing_extensions="4.1")

    finding = await project.finding(venv)

    assert finding.status is Status.FAILED
    assert finding.seen.endswith("locks: quart is 0.21.0, not 0.22.0; redis is missing")
    assert finding.remedy == "rm -f .venv/.installed && make install"


async def test_no_environment_and_no_lock_are_skipped(project: Project) -> None:
    without_lock = await project.finding(venv)
    project.write("requirements-dev.txt", f"click=={version('click')}{HASH}")
    without_environment = await project.finding(venv)

    assert [without_lock.status, without_environment.status] == [Status.SKIPPED, Status.SKIPPED]
    assert without_lock.seen != without_environment.seen
