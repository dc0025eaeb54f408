"""All that is wrong with what a client has sent, by the path to each value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.core.errors import ValidationFailed

MOST_FAULTS = 100  # told of one request; the rest is not looked for
LONGEST_NAME = 64  # characters of a name that the client has made up


class Faults:
    """What is wrong so far, by the path to the value."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, path: str, *messages: str) -> None:
        """Raises `ValidationFailed` once there is enough to tell."""
        self.found.setdefault(path, []).extend(messages)
        if len(self.found) >= MOST_FAULTS:
            raise self.error

    @property
    def error(self) -> ValidationFailed:
        return ValidationFailed(self.found)


# Gives the value, or adds what is wrong with it to the faults; then what it gives has no meaning.
Converter = Callable[[Any, str, Faults], Any]


def below(path: str, name: str) -> str:
    name = name[:LONGEST_NAME]
    return f"{path}.{name}" if path and name else path or name
