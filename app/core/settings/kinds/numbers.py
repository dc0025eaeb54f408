"""Whole numbers, durations and shares, with bounds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

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
class Seconds(Kind[float]):
    """A duration in seconds between two bounds, both allowed."""

    low: float
    high: float

    @property
    def accepts(self) -> str:
        return f"seconds as a plain number from {self.low:g} to {self.high:g}"

    def from_text(self, text: str) -> float:
        if not DECIMAL.fullmatch(text):
            raise Rejected(f"{quote(text)} is not a number of seconds", _without_unit(text))
        return self._within(float(text))

    def from_toml(self, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            meant = _without_unit(value) if isinstance(value, str) else ""
            raise Rejected(f"{describe(value)} is not a number of seconds", meant)
        return self._within(float(value))

    def to_text(self, value: float) -> str:
        return f"{value:.12f}".rstrip("0").removesuffix(".")

    def to_json(self, value: float) -> object:
        return value

    def _within(self, value: float) -> float:
        if not self.low <= value <= self.high:
            raise Rejected(f"{value:g} is {'below' if value < self.low else 'above'} the bounds")
        return value


@dataclass(frozen=True)
class Share(Kind[float]):
    """A part of the whole, from none (0) to all of it (1)."""

    @property
    def accepts(self) -> str:
        return "a number from 0 to 1"

    def from_text(self, text: str) -> float:
        if not DECIMAL.fullmatch(text):
            raise Rejected(f"{quote(text)} is not a number from 0 to 1")
        return self._within(float(text))

    def from_toml(self, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise Rejected(f"{describe(value)} is not a number from 0 to 1")
        return self._within(float(value))

    def to_text(self, value: float) -> str:
        return f"{value:.12f}".rstrip("0").removesuffix(".")

    def to_json(self, value: float) -> object:
        return value

    def _within(self, value: float) -> float:
        if not 0 <= value <= 1:
            raise Rejected(f"{value:g} is {'below' if value < 0 else 'above'} the bounds")
        return value


def _without_unit(text: str) -> str:
    match = WITH_UNIT.fullmatch(text)
    if not match:
        return ""
    return f"{float(match[1]) * SECONDS_IN[match[2].lower()]:g}"
