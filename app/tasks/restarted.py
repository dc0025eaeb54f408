"""Starts again what ends by an error."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog

from app.core.database import ConnectionTrouble

log = structlog.get_logger(__name__)

FIRST_RETRY = 0.2  # seconds; doubled with each failure, with full jitter
LONGEST_RETRY = 15.0
STEADY = 60.0  # what ran for so many seconds had recovered: its next failure is a first one

_random = secrets.SystemRandom()


async def restarted(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Until it returns or is cancelled; every failure is logged, and the next start waits longer."""
    failures = 0
    while True:
        began = monotonic()
        try:
            await run()
        except Exception as error:  # noqa: BLE001  (a fault of ours must not end the others)
            failures = 1 if monotonic() - began > STEADY else failures + 1
            retry_in = _random.uniform(0, min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(failures, 10)))
            _tell(name, error, retry_in)
            await asyncio.sleep(retry_in)
        else:
            return


def _tell(name: str, error: Exception, retry_in: float) -> None:
    """An outage needs no traceback."""
    expected = isinstance(error, ConnectionTrouble)
    tell = log.warning if expected else log.error
    tell("worker_part_failed", part=name, reason=str(error), retry_in=round(retry_in, 3), exc_info=not expected)
