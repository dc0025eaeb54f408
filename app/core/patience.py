"""A limit of time on what others answer, in which a pause of our own loop is not held against them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """As `asyncio.timeout(seconds)`; where the loop comes late to look, it waits as long again as it was late.

    What came in the meantime is read then. At most twice as long in all, without the pause itself.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    async with asyncio.timeout(None) as limit:
        timer = loop.call_at(due, lambda: limit.reschedule(loop.time() + extra(due, most=seconds)))
        try:
            yield
        finally:
            timer.cancel()


def extra(due: float, *, most: float) -> float:
    """How late the loop is for what was `due`, in seconds: 0 to `most`."""
    return min(max(0.0, asyncio.get_running_loop().time() - due), most)
