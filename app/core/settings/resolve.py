"""Turns layers into values: each key is read by its kind, and the strongest layer that gives it wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from .declarations import DATABASE_URL, SETTINGS, STORED
from .faults import Fault, Rejected
from .kinds import Kind, Origins
from .layer import Given, Layer


@dataclass(frozen=True, slots=True)
class Value:
    """What a layer says a key is."""

    value: Any
    source: str


@dataclass(slots=True)
class Resolved:
    """The values found so far, and everything that was wrong on the way."""

    values: dict[str, Value] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    # Keys that some layer gives wrongly: nothing else is said about them, above all not that they are missing.
    spoiled: set[str] = field(default_factory=set)


def resolve(layers: Iterable[Layer]) -> Resolved:
    """Lay the layers over each other, weakest first; a list is replaced like any other value."""
    resolved = Resolved({key: Value(item.default, "default") for key, item in STORED.items() if not item.required})
    for layer in layers:
        resolved.faults += layer.faults
        resolved.notices += layer.notices
        _lay_over(resolved, layer)
    return resolved


def _lay_over(resolved: Resolved, layer: Layer) -> None:
    found: dict[str, Value] = {}
    for given in layer.given:
        for key, value in _read(resolved, given):
            if key in found and found[key].value != value.value:
                resolved.faults.append(_clash(key, found[key].source, value.source))
            found[key] = value
    resolved.values |= found


def _clash(key: str, one: str, other: str) -> Fault:
    if one == other:
        return Fault(key, one, "this is set twice, to different values", "one of them")
    return Fault(key, one, f"{other} sets this too, to another value", "one of the two")


def _read(resolved: Resolved, given: Given) -> Iterator[tuple[str, Value]]:
    item = SETTINGS[given.key]
    try:
        value = _parse(item.kind, given)
        _keep_out_of_git(item.kind, value, given)
    except Rejected as rejected:
        resolved.spoiled.add(given.key)
        resolved.faults.append(Fault(given.key, given.source, rejected.wrong, item.kind.accepts, rejected.meant))
        return
    if given.key == DATABASE_URL.key:
        yield from _expand(resolved, cast("dict[str, str]", value), given.source)
    else:
        yield given.key, Value(value, given.source)


def _keep_out_of_git(kind: Kind[Any], value: object, given: Given) -> None:
    if given.committed and kind.holds_secret(value):
        raise Rejected("a secret does not belong into a file that is committed", "settings.local.toml or .env")


def _parse(kind: Kind[Any], given: Given) -> object:
    if not given.text:
        if given.value == "":
            raise Rejected("the string is empty")
        return kind.from_toml(given.value)
    text = str(given.value)
    if not text and not isinstance(kind, Origins):
        raise Rejected("the value is empty; leave the name out to keep the default")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise Rejected("the value is not text in UTF-8")
    return kind.from_text(text)


def _expand(resolved: Resolved, parts: dict[str, str], source: str) -> Iterator[tuple[str, Value]]:
    for name, text in parts.items():
        yield from _read(resolved, Given(f"database.{name}", text, source))
