"""Leaves the process's logging as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from app.core.telemetry import NEVER_BELOW_INFO, QUIET


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers = list(root.handlers)
    levels = {name: logging.getLogger(name).level for name in ("", "app", *NEVER_BELOW_INFO, *QUIET)}
    yield
    root.handlers[:] = handlers
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
