"""Where the program runs: chooses a table of settings.toml and how strict the settings are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .faults import Fault, nearest, quote

APP_ENV = "APP_ENV"


class Environment(StrEnum):
    """The three values of APP_ENV."""

    DEVELOPMENT = "development"
    TESTING = "testing"
    PRODUCTION = "production"


def choose_environment(layers: Mapping[str, Mapping[str, str]]) -> tuple[Environment, str, list[Fault]]:
    """The environment that the strongest layer names, that layer, and the faults of any that names none.

    APP_ENV decides which table of the files is read, so it can't stand in a file of settings itself.
    """
    environment, source, faults = Environment.DEVELOPMENT, "default", []
    for layer, variables in layers.items():
        if (text := variables.get(APP_ENV)) is None:
            continue
        source = f"{layer} ({APP_ENV})"
        try:
            environment = Environment(text)
        except ValueError:
            meant = nearest(text.lower(), Environment, cutoff=0.4)
            accepted = "one of " + ", ".join(Environment)
            faults.append(Fault(APP_ENV, source, f"{quote(text)} is no environment", accepted, meant))
    return environment, source, faults
