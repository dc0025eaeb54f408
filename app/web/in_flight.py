"""Turns requests away while too many are running: a queue without an end would only make all of them late."""

from __future__ import annotations

from collections.abc import Collection

from quart import Request

from app.core.errors import ServiceUnavailable
from app.web.endpoint import Endpoint


class Busy(ServiceUnavailable):
    """Too many requests are being worked on; please try again shortly."""


class InFlight:
    """The first gate: it costs next to nothing, and spares what stands behind it."""

    def __init__(self, running: Collection[object], *, limit: int) -> None:
        """`running` are the requests of this process, the one at the gate included."""
        self.running = running
        self.limit = limit

    async def __call__(self, _: Request, endpoint: Endpoint) -> None:
        """Raises `Busy`; probes and scrapes pass, as they tell those who could help."""
        if endpoint.policy.counted and len(self.running) > self.limit:
            raise Busy(retry_after=1)
