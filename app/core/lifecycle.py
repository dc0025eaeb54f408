"""Where the process stands between start and stop; readiness and the edges ask it."""

from __future__ import annotations

import asyncio
from enum import StrEnum


class Phase(StrEnum):
    """The life of a process, in order."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "stopped"


class Lifecycle:
    """The phase, and the moment at which stopping was asked for."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.stop_requested = asyncio.Event()

    @property
    def draining(self) -> bool:
        """True from the first signal on: no new work, but what runs may finish."""
        return self.phase in {Phase.DRAINING, Phase.STOPPED}
