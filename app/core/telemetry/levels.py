"""From which level on each logger is heard."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from app.core.settings.kinds.log_levels import GENERAL, read_levels

ROOT = GENERAL
# Libraries whose INFO repeats what our own events say; a directive that names one decides otherwise.
QUIET = ("alembic", "databases", "hypercorn", "uvicorn")
# Below INFO these log the arguments of queries, so no directive lowers them further.
NEVER_BELOW_INFO = ("databases", "asyncpg")


def parse_levels(directive: str) -> dict[str, int]:
    """Read `info,app=debug,databases=warning` into levels by logger; the bare one is the root's, INFO by default.

    Raises `ValueError` naming the first part that is wrong.
    """
    numbers = logging.getLevelNamesMapping()
    named = {logger: numbers[level.upper()] for logger, level in read_levels(directive).items()}
    return {ROOT: logging.INFO, **named}


def set_levels(levels: Mapping[str, int]) -> None:
    """Apply them to the standard library's loggers, whose names ours share."""
    chatty = dict.fromkeys(NEVER_BELOW_INFO, levels[ROOT])
    quiet = dict.fromkeys(QUIET, max(levels[ROOT], logging.WARNING))
    for name, level in {**chatty, **quiet, **levels}.items():
        floor = logging.INFO if name.split(".")[0] in NEVER_BELOW_INFO else logging.NOTSET
        logging.getLogger(name).setLevel(max(level, floor))
