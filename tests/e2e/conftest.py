"""What end-to-end tests share: one stack that runs, for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.project import copy_project
from tests.e2e.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Tests that break it mend it again."""
    with running(copy_project(tmp_path_factory.mktemp("stack") / "plinth")) as up:
        yield up
