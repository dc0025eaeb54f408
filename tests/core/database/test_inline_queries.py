"""No query is written where it is run: only a `Statement` is checked against the schema, so only that may be run."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from app.core.settings import PROJECT_ROOT

RUNS = {"fetch_all", "fetch_one", "fetch_existing", "fetch_val", "execute", "execute_many", "iterate"}
# Everything that features are made of, and what answers readiness.
WATCHED = ("app/features", "app/tasks", "app/sockets", "app/web", "app/core/migrations/state.py")


def inline_queries(source: str) -> list[int]:
    """The lines on which something else than a constant is run on `db`."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _runs_a_query(node)]
    return [call.lineno for call in calls if not (call.args and _is_constant(call.args[0]))]


def _runs_a_query(call: ast.Call) -> bool:
    function = call.func
    return isinstance(function, ast.Attribute) and function.attr in RUNS and ast.unparse(function.value).endswith("db")


def _is_constant(argument: ast.expr) -> bool:
    name = ast.unparse(argument).rpartition(".")[2]
    return name.isidentifier() and name.isupper()


def watched() -> list[Path]:
    found = [PROJECT_ROOT / part for part in WATCHED]
    return [file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path])]


@pytest.mark.parametrize("file", watched(), ids=lambda file: str(file.relative_to(PROJECT_ROOT)))
def test_no_query_is_written_where_it_is_run(file: Path) -> None:
    assert inline_queries(file.read_text()) == []


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("await db.fetch_one(SELECT_USER, {'id': id})", True),
        ("await db.fetch_one(repository.SELECT_USER)", True),
        ("await db.execute('DELETE FROM users')", False),
        ("await db.execute(text('DELETE FROM users'))", False),
        ("await db.fetch_all(select(users))", False),
        ("await self.db.fetch_val(query)", False),
        ("await redis.execute('GET', key)", True),
    ],
)
def test_the_check_tells_them_apart(line: str, allowed: bool) -> None:
    assert bool(inline_queries(f"async def use():\n    {line}")) is not allowed
