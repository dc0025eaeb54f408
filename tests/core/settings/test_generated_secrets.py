"""Secrets that nobody set: made once outside production, kept for their owner, the same for every process."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.settings import PROJECT_ROOT
from tests.core.settings.project import Project, said
from tests.harness.settings import SECRETS

KEPT = Path(".local") / "secrets" / "database_password"
# Waits for a newline, so that all processes reach the load at the same moment.
RACER = """
import sys
from pathlib import Path
from app.core.settings import load_settings
print("ready", flush=True)
sys.stdin.readline()
print(load_settings(root=Path(sys.argv[1]), environ={}).database.password.reveal())
"""


def test_a_secret_is_made_once_and_kept(project: Project) -> None:
    first = project.load().database.password
    second = project.load(APP_ENV="testing")

    assert first == second.database.password
    assert len(first.reveal()) >= 43
    assert (project.root / KEPT).read_text() == first.reveal()
    assert second.origins["database.password"] == f"generated in {KEPT}"


def test_only_the_owner_can_read_it(project: Project) -> None:
    project.load()

    assert stat.S_IMODE((project.root / KEPT).stat().st_mode) == 0o600
    assert stat.S_IMODE((project.root / KEPT).parent.stat().st_mode) == 0o700
    kept = list((project.root / KEPT).parent.iterdir())
    assert sorted(path.name for path in kept) == [KEPT.name, "jwt_secret", "session_secret"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert len({path.read_text() for path in kept}) == 3


def test_two_projects_have_two_secrets(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    other.write("settings.toml", "")

    assert project.load().database.password != other.load().database.password


def test_processes_that_start_together_agree(project: Project) -> None:
    command = [sys.executable, "-c", RACER, str(project.root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": PROJECT_ROOT}
    racers = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]  # a dict of options
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 4

    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()

    answers = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    assert answers == {(project.root / KEPT).read_text()}


def test_a_secret_that_is_set_is_not_generated(project: Project) -> None:
    project.load(DB_PASSWORD="hunter2", **SECRETS)

    assert not (project.root / ".local").exists()


def test_nothing_is_generated_for_faulty_settings(project: Project) -> None:
    project.complaint(PORT="x")

    assert not (project.root / ".local").exists()


def test_a_kept_secret_may_be_written_by_hand(project: Project) -> None:
    project.write(str(KEPT), "by-hand\n")

    assert project.load().database.password.reveal() == "by-hand"


@pytest.mark.parametrize(("content", "wrong"), [("", "the file is empty"), (b"\xff", "the file is not text in UTF-8")])
def test_a_kept_secret_that_is_broken_is_explained(project: Project, content: str | bytes, wrong: str) -> None:
    project.write(str(KEPT), content)

    page = project.complaint()

    assert page.endswith(
        said(
            "database.password",
            wrong,
            f"generated in {KEPT}",
            "APP_DATABASE__PASSWORD, or a folder .local that can be written",
        )
    )


def test_a_folder_that_can_not_be_written_is_explained(project: Project) -> None:
    project.write(".local", "a file where the folder should be")

    page = project.complaint()

    assert "wrong     it can't be kept there: Not a directory\n" in page
