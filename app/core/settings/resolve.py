"""Turns layers into values: each key is read by its kind, and the strongest layer that gives it wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from .declarations import DATABASE_URL, SETTINGS, STORED
from .faults import Fault, Rejected
from .kinds import Kind
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
    unread: bool = False

    @property
    def spoiled(self) -> frozenset[str]:
        """Keys that some layer gives wrongly: no more is said about them, above all not that they are missing."""
        return frozenset(fault.key for fault in self.faults)


def resolve(layers: Iterable[Layer]) -> Resolved:
    """Lay the layers over each other, weakest first; a list is replaced like any other value."""
    resolved = Resolved({key: Value(item.default, "default") for key, item in STORED.items() if not item.required})
    for layer in layers:
        resolved.faults += layer.faults
        resolved.notices += layer.notices
        resolved.unread |= layer.unread
        _lay_over(resolved, layer)
    return resolved


def _lay_over(resolved: Resolved, layer: Layer) -> None:
    found: dict[str, Value] = {}
    for given in layer.given:
        if value := _read(resolved, given):
            if given.key in found and found[given.key].value != value.value:
                resolved.faults.append(_clash(given.key, found[given.key].source, value.source))
            found[given.key] = value
    if whole := found.pop(DATABASE_URL.key, None):
        found |= _expand(resolved, whole, found)
    resolved.values |= found


def _clash(key: str, one: str, other: str) -> Fault:
    if one == other:
        return Fault(key, one, "this is set twice, to different values", "one of them")
    return Fault(key, one, f"{other} sets this too, to another value", "one of the two")


def _read(resolved: Resolved, given: Given) -> Value | None:
    kind = SETTINGS[given.key].kind
    try:
        value = _parse(kind, given)
        _keep_out_of_git(kind, value, given)
    except Rejected as rejected:
        resolved.faults.append(Fault(given.key, given.source, rejected.wrong, kind.accepts, rejected.meant))
        return None
    return Value(value, given.source)


def _keep_out_of_git(kind: Kind[Any], value: object, given: Given) -> None:
    if given.committed and kind.holds_secret(value):
        raise Rejected("a secret has no place in a file under version control", "settings.local.toml or .env")


def _parse(kind: Kind[Any], given: Given) -> object:
    if not given.text:
        if given.value == "" and not (kind.takes_empty and kind.toml_type == "a string"):
            raise Rejected("the string is empty; leave the key out to keep the default")
        return kind.from_toml(given.value)
    text = str(given.value)
    if not text and not kind.takes_empty:
        raise Rejected("the value is empty; leave the name out to keep the default")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise Rejected("the value is not text in UTF-8")
    return kind.from_text(text)


def _expand(resolved: Resolved, whole: Value, beside: dict[str, Value]) -> dict[str, Value]:
    """Read the parts of the database's URL; a part beside it in the same layer would leave in doubt which counts."""
    parts: dict[str, Value] = {}
    for name, text in cast("dict[str, str]", whole.value).items():
        key = f"database.{name}"
        if key in beside:
            wrong = f"{whole.source} sets this too, as a part of database.url"
            resolved.faults.append(Fault(key, beside[key].source, wrong, "the URL or its parts, not both"))
        try:
            parts[key] = Value(SETTINGS[key].kind.from_text(text), whole.source)
        except Rejected as rejected:
            # What is wrong may repeat the piece, and a piece of a mangled URL may be one of the password.
            wrong = rejected.wrong if name == "sslmode" else f"the {name} in the URL can't be used"
            resolved.faults.append(Fault(key, whole.source, wrong, SETTINGS[key].kind.accepts, rejected.meant))
    return parts
