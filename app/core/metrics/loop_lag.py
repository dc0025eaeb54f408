"""Measures how late the event loop is: what every request waits for when some code does not let go of it."""

from __future__ import annotations

import asyncio
from collections import deque

from prometheus_client import CollectorRegistry, Gauge

INTERVAL = 0.25  # seconds between looks
WINDOW = 30.0  # seconds that are remembered: twice the usual interval of a scraper, so that no stall is missed


class LoopLag:
    """Sleeps again and again, and notes how much later than asked it woke."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._late: deque[float] = deque(maxlen=int(WINDOW / INTERVAL))
        lag = Gauge(
            "plinth_event_loop_lag_seconds",
            "Longest delay of the event loop within the last 30 s.",
            registry=registry,
        )
        lag.set_function(lambda: max(self._late, default=0.0))

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self._late.append(max(0.0, loop.time() - due))
