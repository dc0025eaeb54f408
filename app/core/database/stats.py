"""What the pool can tell about itself, and who is told about each event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PoolStats:
    """One moment's view; `_total` fields only ever grow. Times are in seconds."""

    size: int
    idle: int
    in_use: int
    waiting: int
    oldest_wait: float
    max_size: int
    acquired_total: int
    acquire_seconds_total: float
    acquire_timeouts_total: int
    opened_total: int
    discarded_total: int


class DatabaseObserver(Protocol):
    """Metrics implement this; every method must return at once and never raise."""

    def acquired(self, seconds: float) -> None:
        """A connection was handed out after waiting `seconds`."""

    def queried(self, name: str, outcome: str, seconds: float) -> None:
        """A query ended; `name` is its statement's.

        `outcome` is `ok`, `cancelled`, an SQLSTATE or the name of an exception.
        """


class NoObserver:
    """Nobody is watching."""

    def acquired(self, seconds: float) -> None: ...

    def queried(self, name: str, outcome: str, seconds: float) -> None: ...
