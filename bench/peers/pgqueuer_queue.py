"""pgqueuer as in its own benchmark: the asyncpg driver on one connection for each manager, on uvloop.

Unlike the others it runs all that it has taken at once, however many. BENCH_MANAGERS and BENCH_BATCH say with how many
managers in the process, and how many jobs each takes at once; see `bench/task_contestants.py` for what was quickest.
"""

from __future__ import annotations

import asyncio
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
MANAGERS = int(os.environ["BENCH_MANAGERS"])
BATCH = int(os.environ["BENCH_BATCH"])


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


async def manage() -> None:
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(URL)))

    @queuer.entrypoint("nothing")
    async def nothing(_: Job) -> None: ...

    @queuer.entrypoint("stamp")
    async def stamp(job: Job) -> None:
        stamped(*json.loads(job.payload or b"[]"))

    await queuer.run(batch_size=BATCH)


async def work() -> None:
    await asyncio.gather(*(manage() for _ in range(MANAGERS)))
