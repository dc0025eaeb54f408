"""Runs a probe for the length of a block, and times how it turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from app.core.probe import Probe
from tests.harness.waiting import eventually


async def seconds_until(probe: Probe, *, ok: bool, since: datetime) -> float:
    """How long the probe took to turn, by its own clock: a busy machine may let us look only later."""
    await eventually(lambda: probe.result.ok is ok, within=20)
    return (probe.result.checked_at - since).total_seconds()


@asynccontextmanager
async def running(probe: Probe) -> AsyncIterator[Probe]:
    task = asyncio.create_task(probe.run())
    try:
        yield probe
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
