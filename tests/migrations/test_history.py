"""The line of revision files: read without Alembic, in Alembic's order, refused when it forks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.core.migrations import MIGRATIONS, HistoryError, UnknownTarget, expected_revision, read_history
from app.core.migrations.alembic_step import Scripts
from app.core.migrations.revisions import History, Revision
from app.core.migrations.targets import steps_down, steps_up
from app.core.settings import PROJECT_ROOT
from tests.migrations.conftest import AddRevision

LINE = History(tuple(Revision(f"000{n}", f"000{n - 1}" if n > 1 else None, f"Step {n}.", "") for n in range(1, 5)))


def write(folder: Path, name: str, text: str) -> None:
    (folder / "versions" / name).write_text(text)


def test_our_reading_of_the_files_is_alembics() -> None:
    directory = Scripts(MIGRATIONS).directory
    alembics = [(script.revision, script.down_revision) for script in directory.walk_revisions()]

    assert [(each.id, each.parent) for each in reversed(read_history().revisions)] == alembics
    assert expected_revision() == directory.get_current_head()


def test_files_are_named_after_their_number_and_say_what_they_do() -> None:
    for revision in read_history().revisions:
        assert revision.file.startswith(f"{revision.id}_")
        assert revision.title.endswith(".")


def test_a_server_that_does_not_migrate_never_imports_alembic() -> None:
    code = (
        "import sys, app.core.migrations as migrations; migrations.expected_revision(); "
        "print([name for name in sys.modules if name.startswith('alembic')])"
    )

    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


def test_two_heads_are_refused_with_both_files(folder: Path, add_revision: AddRevision) -> None:
    parent = read_history(folder).head
    add_revision("SELECT 1")
    write(folder, "0099_other.py", f'revision = "0099"\ndown_revision = "{parent}"\n')

    with pytest.raises(HistoryError, match=rf"^Two heads: \d+_test.py and 0099_other.py both build on {parent}\. Let"):
        read_history(folder)


def test_one_number_for_two_files_is_refused_with_the_way_out(folder: Path, add_revision: AddRevision) -> None:
    number = add_revision("SELECT 1")
    write(folder, f"{number}_zz.py", f'revision = "{number}"\ndown_revision = "0001"\n')

    with pytest.raises(HistoryError, match=rf"claim revision {number}: {number}_test.py and {number}_zz.py. Give the"):
        read_history(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('revision = "0099"\ndown_revision = "0098"\n', "0099_x.py builds on revision 0098, which is not there."),
        ("down_revision = None\n", 'does not say `revision = "..."`'),
        ("revision = \n", "0099_x.py, line 1: invalid syntax."),
    ],
)
def test_a_file_out_of_line_is_named(folder: Path, text: str, message: str) -> None:
    write(folder, "0099_x.py", text)

    with pytest.raises(HistoryError) as refused:
        read_history(folder)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("current", "target", "expected"),
    [
        (None, "head", ["0001", "0002", "0003", "0004"]),
        ("0002", "head", ["0003", "0004"]),
        ("0004", "head", []),
        (None, "0002", ["0001", "0002"]),
        ("0003", "0002", []),
        ("0001", "+2", ["0002", "0003"]),
        ("0003", "+9", ["0004"]),
    ],
)
def test_steps_up(current: str | None, target: str, expected: list[str]) -> None:
    assert [step.id for step in steps_up(LINE, current, target)] == expected


@pytest.mark.parametrize(
    ("current", "target", "expected"),
    [
        ("0004", "-1", ["0004"]),
        ("0004", "-3", ["0004", "0003", "0002"]),
        ("0002", "-9", ["0002", "0001"]),
        ("0004", "0002", ["0004", "0003"]),
        ("0002", "base", ["0002", "0001"]),
        (None, "-1", []),
        ("0001", "0003", []),
    ],
)
def test_steps_down(current: str | None, target: str, expected: list[str]) -> None:
    assert [step.id for step in steps_down(LINE, current, target)] == expected


def test_an_empty_folder_expects_nothing(tmp_path: Path) -> None:
    assert read_history(tmp_path).head is None
    with pytest.raises(UnknownTarget, match="Known are: base, head"):
        steps_up(read_history(tmp_path), None, "0001")
