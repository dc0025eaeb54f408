"""Windows line ends in the files that containers run."""

from __future__ import annotations

import subprocess

import pytest

from app.doctor import Status
from app.doctor.checks.line_endings import line_endings
from tests.doctor.project import Project


@pytest.fixture
def checkout(project: Project) -> Project:
    """A project under git."""
    subprocess.run(["git", "init", "--quiet", str(project.root)], check=True, env=project.environ)
    return project


def set_autocrlf(project: Project, value: str) -> None:
    subprocess.run(["git", "config", "core.autocrlf", value], check=True, cwd=project.root, env=project.environ)


def type_in(project: Project, command: str) -> None:
    subprocess.run(["/bin/sh", "-c", command], check=True, cwd=project.root)


async def test_every_kind_of_script_is_looked_at_and_the_remedy_mends_it(project: Project) -> None:
    names = [".ci/run", "Makefile", "bin/tool", "docker/Dockerfile", "docker/offline/image", "it's here.sh"]
    for name in names:
        project.write(name, "#!/bin/sh\r\necho\r\n" if name == "bin/tool" else "first\r\nsecond\r\n")

    finding = await project.finding(line_endings)
    mend = finding.remedy.splitlines()[0]
    type_in(project, mend)
    afterwards = await project.finding(line_endings)

    assert finding.status is Status.FAILED
    assert finding.seen.startswith("6 scripts with Windows line ends: ")
    assert "and 1 more" in finding.seen
    assert all(name in finding.remedy.replace("'\"'\"'", "'") for name in names)
    assert afterwards.status is Status.OK


async def test_files_that_no_container_runs_may_end_as_they_like(project: Project) -> None:
    project.write("docs/page.md", "first\r\nsecond\r\n")
    project.write(".venv/bin/activate.sh", "first\r\nsecond\r\n")
    project.write("docker/picture.png", b"\x89PNG\r\n\x1a\n\0\0")

    assert (await project.finding(line_endings)).status is Status.OK


async def test_git_that_rewrites_line_ends_is_a_warning(checkout: Project) -> None:
    set_autocrlf(checkout, "true")

    finding = await checkout.finding(line_endings)

    assert finding.status is Status.WARNING
    assert finding.remedy == "git config core.autocrlf input"


async def test_attributes_are_stronger_than_the_configuration(checkout: Project) -> None:
    set_autocrlf(checkout, "true")
    checkout.write(".gitattributes", "* text=auto eol=lf\n")

    assert (await checkout.finding(line_endings)).status is Status.OK


async def test_without_git_only_the_files_are_looked_at(project: Project) -> None:
    (project.root / ".git").mkdir()
    (project.root / "bin" / "git").unlink()

    assert (await project.finding(line_endings)).status is Status.OK
