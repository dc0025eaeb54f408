"""What is asked of each queue, ours and the peers': with the standard library only, so that each environment has it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import AbstractAsyncContextManager
from typing import Protocol

CONCURRENCY = 10
# Seconds between two tasks of a pickup. Ours tells its workers of new work at most each 0.05 s: a task that comes
# sooner after another one waits for that, at most; at idle none does.
PAUSE = 0.1


class Asking(Protocol):
    """The asking side of a queue, as its users write it."""

    async def nothing(self) -> None:
        """Enqueue one task that does nothing."""

    async def nothings(self, count: int) -> None:
        """Enqueue many of them, in the quickest way that the queue offers."""

    async def stamp(self, port: int, sent: float) -> None:
        """Enqueue one task that calls `stamped`."""


def stamped(port: int, sent: float) -> None:
    """A handler has begun: tell who waits, and when."""
    now = time.time()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(json.dumps(now - sent).encode(), ("127.0.0.1", port))


async def ask(opened: AbstractAsyncContextManager[Asking], what: str, count: int) -> object:
    """Seconds of `fill` and `single`; for `pickup`, seconds from before each call of enqueue to the handler's begin."""
    async with opened as queue:
        if what == "pickup":
            return await _pickup(queue, count)
        began = time.perf_counter()
        if what == "fill":
            await queue.nothings(count)
        else:
            for _ in range(count):
                await queue.nothing()
        return time.perf_counter() - began


async def _pickup(queue: Asking, count: int) -> list[float]:
    found: list[float] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        for _ in range(count):
            await queue.stamp(ear.getsockname()[1], time.time())
            async with asyncio.timeout(30):
                found.append(json.loads(await loop.sock_recv(ear, 100)))
            await asyncio.sleep(PAUSE)
    return found
