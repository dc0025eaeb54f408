"""Section `log`: what is logged, and how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.core.settings import declare


class LogFormat(StrEnum):
    """How a log line is written."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is logged, and how a line looks."""

    level: str = declare.log_levels("info", "From which level on events are logged, in general and per logger.")
    format: LogFormat = declare.choice(
        LogFormat.AUTO, "Coloured console lines or JSON, one event per line; auto is json in production."
    )

    @property
    def json(self) -> bool:
        """True when a line is JSON; `auto` has been settled by the environment when the settings were read."""
        return self.format is LogFormat.JSON
