"""The one type of row that every way of fetching gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

# What a column holds: a str, an int, a UUID, an aware datetime, a dict for jsonb, ...
Value = Any


class Row(Protocol):
    """What asyncpg's `Record`, made in C, can do: read by name or position, and `dict(row)`.

    It is used as it is, since a wrapper costs more than the query's own decoding once there are many rows. Beware:
    iterating gives the values, as for a tuple. SQLAlchemy's result types do not run: an `Enum` column gives text.
    """

    def __getitem__(self, key: str | int) -> Value: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Value]: ...

    def __contains__(self, key: object) -> bool: ...

    def get(self, key: str, default: Value = None) -> Value: ...

    def keys(self) -> Iterable[str]: ...

    def values(self) -> Iterable[Value]: ...

    def items(self) -> Iterable[tuple[str, Value]]: ...
