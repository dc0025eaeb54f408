"""A transaction that somebody leaves open keeps every dead row; the queue does not slow down to a crawl for it."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from app.core.database import Database, open_database
from app.core.queue import Queue, open_queue
from app.embedded import PostgresServer
from tests.harness.app_process import AppProcess, launch_app
from tests.harness.settings import TestSettings
from tests.tasks.chaos_noop import NOOP, Nothing

pytestmark = [
    pytest.mark.fault,
    pytest.mark.xdist_group("chaos of tasks"),
    pytest.mark.skipif(not os.environ.get("PLINTH_LONG"), reason="takes four minutes: make chaos"),
]

WARM_UP, BASELINE, HELD, LAST = 10.0, 40.0, 150.0, 60.0  # seconds; of those that it is held, the last are measured
WINDOW = 5.0
KEPT = 0.7  # of the throughput: a promise
BACKLOG, BATCH = 4_000, 1_000


class Feeder:
    """Keeps more to do than the worker can, and counts what it has done."""

    def __init__(self, db: Database, queue: Queue, worker: AppProcess) -> None:
        self._db = db
        self._queue = queue
        self._worker = worker
        self._asked = 0

    async def done(self) -> int:
        text = (await self._worker.http.get("/metrics")).text
        found = [line for line in text.splitlines() if line.startswith("plinth_tasks_ended_total")]
        [done] = [line for line in found if f'"{NOOP.name}"' in line and '"done"' in line]
        return int(float(done.split()[-1]))

    async def measure(self, seconds: float) -> list[float]:
        """Tasks a second, in each window of so many seconds."""
        rates, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            began, before = time.monotonic(), await self.done()
            await self._feed(began + WINDOW)
            after = await self.done()
            rates.append((after - before) / (time.monotonic() - began))
        return rates

    async def _feed(self, until: float) -> None:
        while time.monotonic() < until:
            while self._asked - await self.done() < BACKLOG:
                async with self._db.transaction():
                    await self._queue.enqueue_many(NOOP, [Nothing()] * BATCH)
                self._asked += BATCH
            await asyncio.sleep(0.1)


@asynccontextmanager
async def held_snapshot(server: PostgresServer) -> AsyncIterator[None]:
    """As a report that runs for long, or a forgotten psql."""
    connection = await asyncpg.connect(server.url)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("SELECT count(*) FROM tasks")
            yield
            await connection.fetchval("SELECT 1")  # it was open to the end
    finally:
        await connection.close()


async def dead_rows(server: PostgresServer) -> int:
    """What vacuum finds and may not remove."""
    connection = await asyncpg.connect(server.url)
    try:
        return int(await connection.fetchval("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'tasks'"))
    finally:
        await connection.close()


@pytest.mark.timeout(600)
async def test_throughput_survives_a_transaction_that_is_held_open(
    durable: TestSettings, durable_postgres: PostgresServer, figure: Callable[[str], None]
) -> None:
    options = ("telemetry.networks=127.0.0.0/8", "log.level=info")
    async with AsyncExitStack() as running:
        worker = await running.enter_async_context(
            launch_app(durable, *options, module="tests.tasks.chaos_noop", role="work")
        )
        await worker.listening()
        db = await running.enter_async_context(open_database(durable().database))
        feeder = Feeder(db, await running.enter_async_context(open_queue(db)), worker)
        await feeder.measure(WARM_UP)
        usual = statistics.median(await feeder.measure(BASELINE))
        async with held_snapshot(durable_postgres):
            await feeder.measure(HELD - LAST)
            rates = await feeder.measure(LAST)
            dead = await dead_rows(durable_postgres)
        kept = statistics.median(rates) / usual

        figure(
            f"held snapshot: {usual:.0f} tasks/s before, {statistics.median(rates):.0f} in the last {LAST:.0f} s of "
            f"{HELD:.0f} s ({kept:.0%}; windows {min(rates):.0f} to {max(rates):.0f}), {dead} dead rows"
        )
        assert dead > usual * HELD / 2, "nothing was kept"
        assert kept > KEPT
