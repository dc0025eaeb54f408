"""Lists in pages that neither skip nor repeat a row while others come and go: each page begins behind a row's key."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from app.core.errors import ValidationFailed
from app.core.json import dumps, loads
from app.web.conversion import converter
from app.web.faults import Faults

T = TypeVar("T")


@dataclass(frozen=True)
class PageQuery:
    """What a list takes from the query string."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list; `next_cursor` asks for what follows, None where nothing does."""

    items: list[T]
    next_cursor: str | None


def page_of(rows: Sequence[T], limit: int, *, key: Callable[[T], Sequence[object]]) -> Page[T]:
    """The page that `rows` make, of which one more than `limit` was asked for.

    `key` gives what the list is ordered by, ending with something unique; the statement continues behind it, as in
    `WHERE (created_at, id) > (:created_at, :id) ORDER BY created_at, id`.
    """
    items = list(rows[:limit])
    return Page(items, encode_cursor(key(items[-1])) if len(rows) > limit else None)


def encode_cursor(values: Sequence[object]) -> str:
    """Opaque, not secret: whoever reads the row may read its key."""
    return base64.urlsafe_b64encode(dumps([*values])).rstrip(b"=").decode()


def decode_cursor(cursor: str, types: Sequence[Any]) -> tuple[Any, ...]:
    """The values that `encode_cursor` was given, one for each of `types`; for all else raises `ValidationFailed`."""
    try:
        given = loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except ValueError:  # no base64, no JSON
        raise _refused() from None
    values = _converted(given, types)
    if values is None or encode_cursor(values) != cursor:  # which was written by somebody else
        raise _refused()
    return values


def _converted(given: object, types: Sequence[Any]) -> tuple[Any, ...] | None:
    if not isinstance(given, list) or len(given) != len(types):
        return None
    faults = Faults()
    values = tuple(converter(kind, lax=False)(each, "", faults) for kind, each in zip(types, given, strict=True))
    return None if faults.found else values


def _refused() -> ValidationFailed:
    return ValidationFailed({"cursor": ["is not one that this list has given out"]})
