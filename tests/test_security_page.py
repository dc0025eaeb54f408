"""docs/security.md names a test for each point: every one of them is there."""

from __future__ import annotations

import re

from app.core.settings import PROJECT_ROOT

NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
FOLDERS = ("", "features/")


def test_every_test_that_the_page_names_is_there() -> None:
    named = NAMED.findall((PROJECT_ROOT / "docs" / "security.md").read_text())

    missing = [f"{file}::{test}" for file, test in named if not _is_there(file, test)]

    assert len(named) > 50
    assert missing == []


def test_a_test_that_is_not_there_is_missed() -> None:
    assert not _is_there("identity/test_browsers.py", "test_nothing_of_the_kind")
    assert not _is_there("identity/test_nothing.py", "test_the_table_holds_no_cookie")


def _is_there(file: str, test: str) -> bool:
    paths = [PROJECT_ROOT / "tests" / folder / file for folder in FOLDERS]
    return any(path.exists() and f"def {test}(" in path.read_text() for path in paths)
