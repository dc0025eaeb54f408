"""PostgreSQL is stopped, not gone: connections stay open and nothing answers, yet every request ends in time."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import databases
import psutil
import pytest

from app.core.database import Database, database_probe, open_database, translate
from app.core.errors import ServiceUnavailable
from app.embedded import PostgresServer
from tests.core.database.torture import is_whole
from tests.core.running import running, seconds_until
from tests.harness.processes import family, stalled
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

pytestmark = pytest.mark.fault

LIMIT = 0.5  # seconds, of every timeout in here
MARGIN = 1.0  # what an ending may add


@pytest.fixture
async def db(own_settings: TestSettings) -> AsyncIterator[Database]:
    names = ("command_timeout", "connect_timeout", "acquire_timeout")
    settings = own_settings("database.pool_max=8", *(f"database.{name}={LIMIT}" for name in names))
    async with open_database(settings.database) as database:
        # Those who hold one when the stall comes find it open; the others' are opened meanwhile.
        await eventually(lambda: is_whole(database, wanted=len(HOLDERS)), within=20)
        yield database


class Step:
    """A request that goes on when told to: as far as `ready` before the stall, the rest during it."""

    def __init__(self) -> None:
        self.ready, self.go = asyncio.Event(), asyncio.Event()

    async def wait(self) -> None:
        self.ready.set()
        await self.go.wait()


async def query(db: Database, step: Step) -> None:
    async with db.connection() as connection:
        await step.wait()
        await connection.fetch_val("SELECT 1")


async def begin(db: Database, step: Step) -> None:
    async with db.connection() as connection:
        await step.wait()
        async with connection.transaction():
            pass


async def in_transaction(db: Database, step: Step) -> None:
    async with db.transaction():
        await step.wait()
        await db.fetch_val("SELECT 1")


async def commit(db: Database, step: Step) -> None:
    async with db.transaction():
        await db.fetch_val("SELECT 1")
        await step.wait()


async def rollback(db: Database, step: Step) -> None:
    with suppress(ZeroDivisionError):
        async with db.transaction():
            await db.fetch_val("SELECT 1")
            await step.wait()
            raise ZeroDivisionError


async def release(db: Database, step: Step) -> None:
    """The session is to be cleaned, which takes an answer."""
    async with db.connection() as connection:
        await connection.execute("SELECT pg_advisory_lock(1)")
        await step.wait()


async def acquire(db: Database, step: Step) -> None:
    await step.wait()
    await asyncio.gather(*(db.fetch_val("SELECT 1") for _ in range(10)))


HOLDERS = [query, begin, in_transaction, commit, rollback, release]
REQUESTS = [*HOLDERS, acquire]
Request = Callable[[Database, Step], Awaitable[None]]


async def timed(request: Request, db: Database, step: Step, limit: float | None) -> float:
    """Seconds that the request took from `go` to its end, given a deadline of its own or none."""
    task = asyncio.ensure_future(request(db, step))
    await step.go.wait()
    started = time.monotonic()
    if limit is not None:
        asyncio.get_running_loop().call_later(limit, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()):
        assert isinstance(translate(error), ServiceUnavailable), error
    return time.monotonic() - started


def all_stopped(server: PostgresServer) -> bool:
    return all(process.status() == psutil.STATUS_STOPPED for process in family(server.pid))


@pytest.mark.alone
@pytest.mark.parametrize("limit", [None, 0.2], ids=["own timeouts", "cancelled"])
async def test_every_request_ends_in_time_while_the_server_is_stopped(
    db: Database, own_postgres: PostgresServer, limit: float | None
) -> None:
    before = asyncio.all_tasks()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    steps = [Step() for _ in REQUESTS]
    tasks = [asyncio.create_task(timed(each, db, step, limit)) for each, step in zip(REQUESTS, steps, strict=True)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(step.ready.wait() for step in steps))

    with stalled(own_postgres.pid):
        await eventually(lambda: all_stopped(own_postgres), within=20)
        for step in steps:
            step.go.set()
        async with asyncio.timeout(10):
            seconds = dict(zip((each.__name__ for each in REQUESTS), await asyncio.gather(*tasks), strict=True))

    assert {name: took for name, took in seconds.items() if took > (limit or LIMIT) + MARGIN} == {}
    await eventually(lambda: is_whole(db, wanted=8), within=20)
    await eventually(lambda: asyncio.all_tasks() <= before, within=20)
    gc.collect()  # a task whose error nobody has asked for complains at its end
    assert complaints == []


async def test_a_stock_request_stays_stuck(own_postgres: PostgresServer) -> None:
    stock = databases.Database(own_postgres.url, min_size=1, max_size=3, ssl=False)
    await stock.connect()
    ready = asyncio.Event()

    async def request() -> None:
        async with stock.transaction():
            ready.set()
            async with asyncio.timeout(LIMIT):
                await stock.fetch_val("SELECT pg_sleep(0.01) FROM generate_series(1, 1000)")

    task = asyncio.create_task(request())
    async with asyncio.timeout(20):
        await ready.wait()
    with stalled(own_postgres.pid):
        _, stuck = await asyncio.wait({task}, timeout=LIMIT + MARGIN + 1)

    assert stuck
    stock._backend._pool.terminate()
    with suppress(Exception, asyncio.CancelledError):
        await task


@pytest.mark.alone
async def test_readiness_follows_a_stop_and_a_return_within_two_seconds(
    own_settings: TestSettings, own_postgres: PostgresServer
) -> None:
    async with open_database(own_settings().database) as db, running(database_probe(db)) as probe:
        await eventually(lambda: probe.result.ok, within=20)
        with stalled(own_postgres.pid):
            assert await seconds_until(probe, ok=False, since=datetime.now(UTC)) < 2
            assert "no answer within 1 s" in probe.result.reason
        assert await seconds_until(probe, ok=True, since=datetime.now(UTC)) < 2
