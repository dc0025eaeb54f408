"""Projects to examine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doctor.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh checkout with neither Docker nor a `.venv`."""
    return Project.make(tmp_path / "project")


@pytest.fixture
def open_project() -> Iterator[Project]:
    """One that every user of the machine can reach; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="plinth-doctor-") as folder:
        Path(folder).chmod(0o755)
        yield Project.make(Path(folder, "project"))
