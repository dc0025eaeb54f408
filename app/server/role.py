"""What a process does: it serves, it works, or both."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from app.core.settings import Settings
from app.feature import Feature


class Role(StrEnum):
    """`app serve`, `app worker` and `app dev`."""

    SERVE = "serve"
    WORK = "work"
    BOTH = "both"

    @property
    def works(self) -> bool:
        return self is not Role.SERVE

    @property
    def serves(self) -> bool:
        return self is not Role.WORK

    @property
    def port_setting(self) -> str:
        """A worker beside a server needs a port of its own."""
        return "server.port" if self.serves else "worker.port"

    def port(self, settings: Settings) -> int:
        """Where it listens, on `server.host`."""
        return settings.server.port if self.serves else settings.worker.port

    def answered(self, features: Sequence[Feature]) -> list[Feature]:
        """The features whose routes it answers: of a worker, those that tell how it is."""
        return [feature for feature in features if self.serves or feature.operations]
