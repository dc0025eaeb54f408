"""How long to wait before something is tried again."""

from __future__ import annotations

import asyncio
import random

from app.core.settings.sections.worker import Worker

SHORTEST, LONGEST = 0.05, 1.0  # seconds between two tries of the worker's own statements


def retry_delay(settings: Worker, failures: int) -> float:
    """Seconds until a task that had failed `failures` times before runs again; spread, so that not all come at once."""
    delay: float = settings.retry_delay * 2.0 ** min(failures, 60)
    return min(delay * random.uniform(0.75, 1.25), settings.retry_delay_max)  # noqa: S311  (no secret)


class Backoff:
    """Longer with every failure in a row, and short again after a success."""

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    async def wait(self) -> None:
        delay = min(SHORTEST * 2.0 ** min(self._failures, 10), LONGEST)
        self._failures += 1
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311  (no secret)
