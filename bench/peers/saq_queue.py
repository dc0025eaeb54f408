"""saq on PostgreSQL or on Redis, whichever BENCH_URL names: its own pool of 20, ten jobs at once.

It takes as many jobs at once as it has free hands, and has no way of enqueueing many but one by one, side by side.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from saq import Queue as SaqQueue
from saq import Worker

from bench.peers.asking import CONCURRENCY, Asking, stamped

URL = os.environ["BENCH_URL"]


async def nothing(_: dict[str, Any]) -> None: ...


async def stamp(_: dict[str, Any], *, port: int, sent: float) -> None:
    stamped(port, sent)


class Queue:
    def __init__(self, queue: SaqQueue) -> None:
        self._queue = queue

    async def nothing(self) -> None:
        await self._queue.enqueue("nothing")

    async def nothings(self, count: int) -> None:
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                await self.nothing()

        await asyncio.gather(*(some() for _ in range(2 * CONCURRENCY)))

    async def stamp(self, port: int, sent: float) -> None:
        await self._queue.enqueue("stamp", port=port, sent=sent)


@asynccontextmanager
async def opened() -> AsyncIterator[Asking]:
    queue = SaqQueue.from_url(URL)
    await queue.connect()
    yield Queue(queue)
    await queue.disconnect()


async def prepare() -> None:
    async with opened():
        pass


async def work() -> None:
    queue = SaqQueue.from_url(URL)
    await queue.connect()
    await Worker(queue, functions=[nothing, stamp], concurrency=CONCURRENCY).start()
