"""procrastinate as its documentation has it: one pool, one worker that listens, ten jobs at once.

It fetches and finishes jobs one by one; there is no setting for more at once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector

from bench.peers.asking import CONCURRENCY, Asking, stamped

# A connection for each job, one to listen, one to spare.
app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_URL"], min_size=2, max_size=CONCURRENCY + 2))


@app.task(name="nothing")
async def nothing() -> None: ...


@app.task(name="stamp")
async def stamp(port: int, sent: float) -> None:
    stamped(port, sent)


class Queue:
    async def nothing(self) -> None:
        await nothing.defer_async()

    async def nothings(self, count: int) -> None:
        await nothing.batch_defer_async(*({} for _ in range(count)))

    async def stamp(self, port: int, sent: float) -> None:
        await stamp.defer_async(port=port, sent=sent)


@asynccontextmanager
async def opened() -> AsyncIterator[Asking]:
    async with app.open_async():
        yield Queue()


async def prepare() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def work() -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY)
