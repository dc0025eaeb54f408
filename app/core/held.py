"""What a feature makes at its first use and keeps as long as the process: a pool of threads, another service's keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog

log = structlog.get_logger(__name__)


class Closable(Protocol):
    """Ends by itself, without raising for what was never begun."""

    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Held:
    """One of each class for the resources that it belongs to; they are closed with them, the youngest first."""

    def __init__(self) -> None:
        self._kept: dict[type[Closable], Closable] = {}

    def obtain(self, kind: type[C], make: Callable[[], C]) -> C:
        """The one that is kept, made now if there is none; `make` must not wait for anything."""
        found = self._kept.get(kind)
        if found is None:
            found = self._kept[kind] = make()
        assert isinstance(found, kind)  # noqa: S101  (nothing else is put there)
        return found

    async def close(self) -> None:
        """Close all; one that fails must not keep the others open."""
        while self._kept:
            kind, each = self._kept.popitem()
            try:
                await each.close()
            except Exception:
                log.exception("held_close_failed", held=kind.__name__)
