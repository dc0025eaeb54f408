"""What is wrong with a value, for the person who sent it; the value itself is never repeated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec

REQUIRED = "is required"
UNKNOWN = "is not known here"
TWICE = "is given more than once"
OBJECT = "must be an object"
LIST = "must be a list"

KINDS: dict[Any, str] = {
    str: "must be text",
    int: "must be a whole number",
    float: "must be a number",
    bool: "must be true or false",
    UUID: "must be a UUID",
    datetime: "must be a date and time with its zone, such as 2026-01-31T09:30:00Z",
    date: "must be a date, such as 2026-01-31",
    time: "must be a time, such as 09:30:00",
    timedelta: "must be a duration, such as PT1H30M",
    Decimal: "must be a decimal number as text, such as 12.50",
}

# For each constraint of `msgspec.Meta`: whether a value keeps it, and what it asks.
CONSTRAINTS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "gt": (lambda value, bound: value > bound, "must be more than {}"),
    "ge": (lambda value, bound: value >= bound, "must be at least {}"),
    "lt": (lambda value, bound: value < bound, "must be less than {}"),
    "le": (lambda value, bound: value <= bound, "must be at most {}"),
    "multiple_of": (lambda value, step: value % step == 0, "must be a multiple of {}"),
    "min_length": (lambda value, least: len(value) >= least, "must have at least {} {}"),
    "max_length": (lambda value, most: len(value) <= most, "must have at most {} {}"),
}


def for_kind(kind: Any) -> str:  # noqa: ANN401  (a type)
    """What a value of this type has to be."""
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _one_of(member.value for member in kind)
    return KINDS.get(kind, "is not valid")


def _one_of(choices: Iterable[object]) -> str:
    return f"must be one of: {', '.join(map(str, choices))}"


def for_constraints(value: Any, metas: Iterable[msgspec.Meta]) -> Iterator[str]:  # noqa: ANN401  (of the right type)
    """One sentence for each constraint that the value does not keep."""
    for meta in metas:
        for name, (kept, sentence) in CONSTRAINTS.items():
            bound = getattr(meta, name)
            if bound is not None and not kept(value, bound):
                yield _counted(sentence, bound, value) if "length" in name else sentence.format(bound)
        if meta.pattern is not None and not re.search(meta.pattern, value):
            yield f"must match the pattern {meta.pattern}"


def _counted(sentence: str, bound: int, value: object) -> str:
    if isinstance(value, str):
        unit = "character" if bound == 1 else "characters"
    else:
        unit = "entry" if bound == 1 else "entries"
    return sentence.format(bound, unit)
