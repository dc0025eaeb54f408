"""Booleans and words from a short list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from app.core.settings.faults import Rejected, nearest, quote

from .kind import Kind, describe

E = TypeVar("E", bound=StrEnum)

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Flag(Kind[bool]):
    """True or false; any other word is a mistake, never 'true because not empty'."""

    @property
    def accepts(self) -> str:
        return "true or false (also yes/no, on/off, 1/0)"

    def from_text(self, text: str) -> bool:
        word = text.lower()
        if word not in TRUE | FALSE:
            raise Rejected(f"{quote(text)} is neither true nor false")
        return word in TRUE

    def from_toml(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Rejected(f"{describe(value)} is not true or false")
        return value

    def to_text(self, value: bool) -> str:
        return str(value).lower()

    def to_json(self, value: bool) -> object:
        return value


@dataclass(frozen=True)
class Choice(Kind[E], Generic[E]):
    """One word of an enumeration, spelled exactly."""

    words: type[E]
    toml_type: ClassVar[str] = "one of the words"

    @property
    def accepts(self) -> str:
        return "one of " + ", ".join(self.words)

    def from_text(self, text: str) -> E:
        try:
            return self.words(text)
        except ValueError:
            meant = nearest(text.lower(), self.words)
            raise Rejected(f"{quote(text)} is not one of the words", meant) from None
