"""pgqueuer as in its own benchmark: the asyncpg driver on a connection, on uvloop.

BENCH_BATCH says how many jobs it takes at once, BENCH_MOST how many may run (0: whatever it has taken); see
`bench/task_contestants.py` for what was quickest.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.peers.asking import Asking, stamped

URL = os.environ["BENCH_URL"]
BATCH = int(os.environ["BENCH_BATCH"])
MOST = int(os.environ["BENCH_MOST"]) or None


class Queue:
    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def nothing(self) -> None:
        await self._queries.enqueue("nothing", b"")

    async def nothings(self, count: int) -> None:
        await self._queries.enqueue(["nothing"] * count, [b""] * count, [0] * count)

    async def stamp(self, port: int, sent: float) -> None:
        await self._queries.enqueue("stamp", json.dumps([port, sent]).encode())


@asynccontextmanager
async def opened() -> AsyncIterator[Asking]:
    connection = await asyncpg.connect(URL)
    yield Queue(Queries(AsyncpgDriver(connection)))
    await connection.close()


async def prepare() -> None:
    connection = await asyncpg.connect(URL)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


async def work() -> None:
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(URL)))

    @queuer.entrypoint("nothing")
    async def nothing(_: Job) -> None: ...

    @queuer.entrypoint("stamp")
    async def stamp(job: Job) -> None:
        stamped(*json.loads(job.payload or b"[]"))

    await queuer.run(batch_size=BATCH, max_concurrent_tasks=MOST)
