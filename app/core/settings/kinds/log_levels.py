"""The directive that gives each logger its level, such as `info,app=debug`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.core.settings.faults import Rejected, nearest, quote

from .kind import Kind

LEVELS = ("debug", "info", "warning", "error", "critical")
LOGGER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
GENERAL = ""  # stands for every logger that is not named


@dataclass(frozen=True)
class LogLevels(Kind[str]):
    """A level for everything and levels for single loggers, in one string."""

    @property
    def accepts(self) -> str:
        return "a level, or 'info,app=debug,databases=warning'; levels are " + " ".join(LEVELS)

    def from_text(self, text: str) -> str:
        return ",".join(f"{logger}={level}" if logger else level for logger, level in read_levels(text).items())


def read_levels(text: str) -> dict[str, str]:
    """The level of each logger that the directive names, the general one under `GENERAL`; raises `Rejected`."""
    levels: dict[str, str] = {}
    for part in text.split(","):
        logger, level = _pair(part.strip())
        if logger in levels:
            raise Rejected(f"{quote(text)} names {quote(logger) if logger else 'the general level'} twice")
        levels[logger] = level
    return levels


def _pair(part: str) -> tuple[str, str]:
    logger, equals, level = part.rpartition("=")
    if equals and not LOGGER.fullmatch(logger):
        raise Rejected(f"{quote(part)} has no logger before the '='")
    if level.lower() not in LEVELS:
        raise Rejected(f"{quote(level)} is not a level", nearest(level.lower(), LEVELS))
    return logger, level.lower()
