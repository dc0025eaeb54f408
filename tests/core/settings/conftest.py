"""Gives each test a project folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.settings.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("settings.toml", "")
    return made
