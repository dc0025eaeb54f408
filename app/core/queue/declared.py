"""What may be asked for: each task and each event is one value, which those who ask and those who do it share."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar

import msgspec

from app.core import json

P = TypeVar("P")

# As a person types it: `notes.send_reminder`.
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
LONGEST = 100


class Priority(IntEnum):
    """Which of two tasks runs first; the lower ones get a share too, so none waits forever."""

    LOW = -1
    NORMAL = 0
    HIGH = 1


class WrongPayload(ValueError):
    """What was stored is not what this code takes: it was written by another version of it."""


@dataclass(frozen=True)
class Task(Generic[P]):
    """Work to be done after the commit: what it is called, what it is given, and how it is run.

    `payload` is a frozen dataclass. `timeout` is in seconds; `retries` says how often it is tried again after an
    error; `concurrency`, where given, how many of them run at once, on all workers together.
    """

    name: str
    payload: type[P]
    timeout: float = 60.0
    retries: int = 5
    concurrency: int | None = None
    priority: Priority = Priority.NORMAL

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_payload(self.name, self.payload)
        check_running(self.name, self.timeout, self.retries, self.concurrency)

    def encode(self, payload: P) -> Any:  # noqa: ANN401  (JSON)
        """Raises `TypeError` for another class than the declared one, whose fields nobody would read.

        And `NotJson`, a `ValueError`, for a number that JSON would round.
        """
        return encode(self.name, self.payload, payload)

    def decode(self, stored: object) -> P:
        """Raises `WrongPayload`."""
        return decode(self.payload, stored)


@dataclass(frozen=True)
class Event(Generic[P]):
    """Something that has happened to an aggregate (an order, a user); those who subscribe are told, in order."""

    name: str
    payload: type[P]
    aggregate: str

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_name(self.aggregate)
        _check_payload(self.name, self.payload)

    def encode(self, payload: P) -> Any:  # noqa: ANN401  (JSON)
        """Raises `TypeError` for another class than the declared one, and `NotJson` as above."""
        return encode(self.name, self.payload, payload)

    def decode(self, stored: object) -> P:
        """Raises `WrongPayload`."""
        return decode(self.payload, stored)


def encode(name: str, kind: type[P], payload: P) -> Any:  # noqa: ANN401  (JSON)
    if type(payload) is not kind:
        raise TypeError(f"{name} takes {kind.__name__}, not {type(payload).__name__}")
    # Read back as any JSON: what would change on the way (a number of more than 64 bits) is found here, and not later.
    return json.loads(msgspec.json.encode(payload))


def decode(kind: type[P], stored: object) -> P:
    try:
        return msgspec.convert(stored, kind, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        raise WrongPayload(f"{WrongPayload.__doc__} {error}") from error


def check_running(name: str, timeout: float, retries: int, concurrency: int | None) -> None:
    """Raises `ValueError` for what can't be meant."""
    if timeout <= 0:
        raise ValueError(f"{name}: timeout is {timeout}; it takes seconds above 0")
    if retries < 0:
        raise ValueError(f"{name}: retries is {retries}; it takes 0 or more")
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"{name}: concurrency is {concurrency}; it takes 1 or more, or None for no limit")


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ValueError(f"{name!r} is no name: words of a-z, 0-9 and _ joined by dots, at most {LONGEST} characters")


def _check_payload(name: str, kind: object) -> None:
    is_frozen = isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if not is_frozen:
        raise TypeError(f"{name}: the payload is a frozen dataclass, not {kind!r}")
