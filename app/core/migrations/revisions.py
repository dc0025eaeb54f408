"""The revision files as one line from first to last, read without importing Alembic or the files."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.core.migrations.errors import HistoryError, SchemaMismatch
from app.core.settings import PROJECT_ROOT

MIGRATIONS = PROJECT_ROOT / "migrations"


@dataclass(frozen=True, slots=True)
class Revision:
    """One file: its number, the number it builds on, and its first sentence."""

    id: str
    parent: str | None
    title: str
    file: str


@dataclass(frozen=True, slots=True)
class History:
    """All revisions, oldest first."""

    revisions: tuple[Revision, ...]

    @property
    def head(self) -> str | None:
        """The newest revision, which the code expects; None while there are no files."""
        return self.revisions[-1].id if self.revisions else None

    @property
    def ids(self) -> list[str]:
        return [revision.id for revision in self.revisions]

    def knows(self, revision: str | None) -> bool:
        """True for every revision of ours, and for None: a database without any."""
        return revision is None or revision in self.ids

    def position(self, revision: str | None) -> int:
        """How many revisions are applied at `revision`; raises `SchemaMismatch` for one that is not ours."""
        if not self.knows(revision):
            raise SchemaMismatch(ahead(self.head, revision))
        return 0 if revision is None else self.ids.index(revision) + 1


def ahead(expected: str | None, found: str | None) -> str:
    """Why a schema from a newer release is left alone."""
    return (
        f"The database is at revision {found}, which this version of the code does not know: it expects "
        f"{expected}. A newer release has migrated it: deploy that release, or let it migrate down first."
    )


def read_history(folder: Path = MIGRATIONS) -> History:
    """Read `folder/versions`; raises `HistoryError` when the files fork, repeat a number or miss one."""
    revisions = [_read(file) for file in sorted((folder / "versions").glob("[!_]*.py"))]
    _refuse_doubles(revisions)
    _refuse_forks(revisions)
    return History(_in_order(revisions))


@cache
def expected_revision() -> str | None:
    """The revision this code was written for; read once, a few milliseconds."""
    return read_history().head


def _read(file: Path) -> Revision:
    # Parsing rather than importing: Alembic and its operations take longer than the rest of a start.
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise HistoryError(f"{file.name}, line {error.lineno}: {error.msg}.") from error
    values = dict(filter(None, map(_assignment, tree.body)))
    if not isinstance(values.get("revision"), str):
        raise HistoryError(f'{file.name} does not say `revision = "..."`, so it can\'t be put in order.')
    title = (ast.get_docstring(tree) or file.stem).splitlines()[0]
    return Revision(str(values["revision"]), values.get("down_revision"), title, file.name)


def _assignment(node: ast.stmt) -> tuple[str, str | None] | None:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
            return name, value if isinstance(value, str) else None
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
            return name, value if isinstance(value, str) else None
    return None


def _refuse_doubles(revisions: list[Revision]) -> None:
    for number, count in Counter(revision.id for revision in revisions).items():
        if count > 1:
            files = " and ".join(revision.file for revision in revisions if revision.id == number)
            raise HistoryError(
                f"Two files claim revision {number}: {files}. Give the one that was merged later the next free "
                "number, in its name and in `revision`, and let its `down_revision` name the other."
            )


def _refuse_forks(revisions: list[Revision]) -> None:
    for parent, count in Counter(revision.parent for revision in revisions).items():
        if count > 1:
            files = " and ".join(revision.file for revision in revisions if revision.parent == parent)
            raise HistoryError(
                f"Two heads: {files} both build on {parent or 'nothing'}. "
                "Let the `down_revision` of the one that was merged later name the other."
            )


def _in_order(revisions: list[Revision]) -> tuple[Revision, ...]:
    by_parent = {revision.parent: revision for revision in revisions}
    line: list[Revision] = []
    while following := by_parent.pop(line[-1].id if line else None, None):
        line.append(following)
    for lost in by_parent.values():
        raise HistoryError(f"{lost.file} builds on revision {lost.parent}, which is not there.")
    return tuple(line)
