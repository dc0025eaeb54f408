"""Whole numbers, durations and shares, with bounds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar

from app.core.settings.faults import Rejected, quote

from .kind import Kind, describe

# int() and float() also take '1_000', '١٢', ' 5 ' and '1e5'; a person who wrote those meant something else.
WHOLE = re.compile(r"-?[0-9]{1,18}")
DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
WITH_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|sec|m|min|h)", re.IGNORECASE)
SECONDS_IN = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True)
class WholeNumber(Kind[int]):
    """A whole number between two bounds, both allowed."""

    low: int
    high: int

    @property
    def accepts(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def from_text(self, text: str) -> int:
        if not WHOLE.fullmatch(text):
            raise Rejected(f"{quote(text)} is not a whole number")
        return self._within(int(text))

    def from_toml(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Rejected(f"{describe(value)} is not a whole number")
        return self._within(value)

    def to_json(self, value: int) -> object:
        return value

    def _within(self, value: int) -> int:
        if not self.low <= value <= self.high:
            raise Rejected(f"{value} is {'below' if value < self.low else 'above'} the bounds")
        return value


@dataclass(frozen=True)
class DecimalKind(Kind[float]):
    """A decimal number between two bounds, both allowed; subclasses say what it counts."""

    low: float
    high: float

    what: ClassVar[str]

    def from_text(self, text: str) -> float:
        if not DECIMAL.fullmatch(text):
            raise Rejected(f"{quote(text)} is not {self.what}", self._meant(text))
        return self._within(float(text))

    def from_toml(self, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            meant = self._meant(value) if isinstance(value, str) else ""
            raise Rejected(f"{describe(value)} is not {self.what}", meant)
        return self._within(float(value))

    def to_text(self, value: float) -> str:
        return f"{value:.12f}".rstrip("0").removesuffix(".")

    def to_json(self, value: float) -> object:
        return value

    def _meant(self, text: str) -> str:  # noqa: ARG002  (a duration looks for a unit)
        return ""

    def _within(self, value: float) -> float:
        if not self.low <= value <= self.high:
            raise Rejected(f"{value:g} is {'below' if value < self.low else 'above'} the bounds")
        return value


@dataclass(frozen=True)
class Seconds(DecimalKind):
    """A duration in seconds."""

    what: ClassVar[str] = "a number of seconds"

    @property
    def accepts(self) -> str:
        return f"seconds as a plain number from {self.low:g} to {self.high:g}"

    def _meant(self, text: str) -> str:
        return _without_unit(text)


@dataclass(frozen=True)
class Share(DecimalKind):
    """A part of the whole, from none (0) to all of it (1)."""

    low: float = 0
    high: float = 1

    what: ClassVar[str] = "a number from 0 to 1"

    @property
    def accepts(self) -> str:
        return self.what


def _without_unit(text: str) -> str:
    match = WITH_UNIT.fullmatch(text)
    if not match:
        return ""
    return f"{float(match[1]) * SECONDS_IN[match[2].lower()]:g}"
