"""`app errors`: the catalogue, in the terminal and in docs/http.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.core.error_catalogue import entries
from app.core.errors import CATALOGUE, AppError
from app.core.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "http.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["errors", *arguments])


@pytest.fixture
def drifted(tmp_path: Path) -> Path:
    """A checkout whose page is of another day."""
    (tmp_path / "docs").mkdir()
    text = PAGE.read_text("utf-8").replace("| 409 | `CONFLICT` |", "| 409 | `CLASH` |")
    (tmp_path / "docs" / "http.md").write_text(text, "utf-8")
    return tmp_path


def test_the_page_of_the_docs_has_not_drifted() -> None:
    result = run()

    assert (result.exit_code, result.stderr) == (0, "")


def test_every_kind_is_printed() -> None:
    lines = run().stdout.splitlines()

    assert lines[0].split() == ["STATUS", "CODE", "SENTENCE"]
    assert {tuple(line.split()[:2]) for line in lines[1:]} == {(str(kind.status), kind.code) for kind in CATALOGUE}


def test_programs_get_json_with_what_the_docs_say() -> None:
    found = {each["code"]: each for each in json.loads(run("--json").stdout)}

    assert found["NOT_FOUND"] == {
        "status": 404,
        "code": "NOT_FOUND",
        "sentence": "There is nothing at this address.",
        "when": "No such address, or no such record.",
    }


def test_drift_is_told_and_written_away(drifted: Path) -> None:
    told = run("--root", str(drifted))
    written = run("--root", str(drifted), "--write")
    sound = run("--root", str(drifted))

    assert (told.exit_code, told.stderr) == (1, "docs/http.md has drifted from app/core/errors.py.\n")
    assert (written.exit_code, written.stderr) == (0, "docs/http.md is written.\n")
    assert (sound.exit_code, sound.stderr) == (0, "")
    assert (drifted / "docs" / "http.md").read_text("utf-8") == PAGE.read_text("utf-8")


def test_an_image_has_no_page_and_still_prints(tmp_path: Path) -> None:
    printed = run("--root", str(tmp_path))
    written = run("--root", str(tmp_path), "--write")

    assert (printed.exit_code, printed.stdout) == (0, run().stdout)
    assert written.exit_code == 2
    assert "--write is for a checkout of the source" in written.stderr


def test_every_kind_is_in_the_catalogue_and_says_when() -> None:
    ours = {kind for kind in AppError.__subclasses__() if kind.__module__ == "app.core.errors"}

    assert ours == set(CATALOGUE)
    assert all(each.sentence and each.when for each in entries())
    assert len({each.code for each in entries()}) == len(CATALOGUE)
