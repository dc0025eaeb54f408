"""Where the program runs: chooses a table of settings.toml and how strict the settings are."""

from __future__ import annotations

from enum import StrEnum


class Environment(StrEnum):
    """The three values of APP_ENV."""

    DEVELOPMENT = "development"
    TESTING = "testing"
    PRODUCTION = "production"
