"""Lists: `a,b` or JSON as text, an array in TOML; a later layer replaces the list, never adds to it."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import ClassVar, TypeVar

from app.core.settings.faults import Rejected, quote

from .kind import Kind, describe

T = TypeVar("T")


class ListKind(Kind[tuple[T, ...]]):
    """A list whose items are all of one kind; an item given twice counts once."""

    toml_type: ClassVar[str] = "an array of strings"
    takes_empty: ClassVar[bool] = True

    @abstractmethod
    def item(self, text: str) -> T:
        """Read one item. Raises `Rejected`."""

    def from_text(self, text: str) -> tuple[T, ...]:
        if text.lstrip().startswith("["):
            return self.from_toml(_json(text))
        return self._distinct([part.strip() for part in text.split(",")] if text.strip() else [])

    def from_toml(self, value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Rejected(f"{describe(value)} is not {self.toml_type}")
        for item in value:
            if not isinstance(item, str):
                raise Rejected(f"{describe(item)} in the array is not a string")
        return self._distinct(value)

    def to_text(self, value: tuple[T, ...]) -> str:
        return ",".join(map(str, value))

    def to_json(self, value: tuple[T, ...]) -> object:
        return list(map(str, value))

    def _distinct(self, items: list[str]) -> tuple[T, ...]:
        return tuple(dict.fromkeys(map(self.item, items)))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Rejected(f"{quote(text)} is not a JSON array") from None
