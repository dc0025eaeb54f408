"""Waiting for a connection: bounded, counted and told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.database import AcquireTimeout, Database, open_database, translate
from app.core.errors import ServiceUnavailable
from tests.harness.proxy import open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

ONE = ("database.pool_min=1", "database.pool_max=1")


@pytest.fixture
async def small(settings: TestSettings) -> AsyncIterator[Database]:
    async with open_database(settings(*ONE, "database.acquire_timeout=60").database) as db:
        yield db


async def test_a_full_pool_is_told_after_the_acquire_timeout(settings: TestSettings) -> None:
    async with open_database(settings(*ONE, "database.acquire_timeout=0.2").database) as db:
        async with db.connection():
            with pytest.raises(AcquireTimeout) as caught:
                await asyncio.create_task(db.fetch_val("SELECT 1"))

        assert str(caught.value) == "no database connection became free within 0.2 s (1 of 1 in use, 1 waiting)"
        assert isinstance(translate(caught.value), ServiceUnavailable)
        assert db.stats().acquire_timeouts_total == 1
        assert await db.fetch_val("SELECT 1") == 1


async def test_the_statistics_show_who_waits_and_for_how_long(small: Database) -> None:
    async with small.connection():
        stats = small.stats()
        assert (stats.size, stats.idle, stats.in_use, stats.waiting, stats.oldest_wait) == (1, 0, 1, 0, 0.0)
        first = asyncio.create_task(small.fetch_val("SELECT 1"))
        second = asyncio.create_task(small.fetch_val("SELECT 2"))
        await eventually(lambda: small.stats().waiting == 2, within=10)
        await eventually(lambda: small.stats().oldest_wait > 0.02, within=10)

    assert [await first, await second] == [1, 2]
    stats = small.stats()
    assert (stats.size, stats.idle, stats.in_use, stats.waiting, stats.oldest_wait) == (1, 1, 0, 0, 0.0)
    assert stats.acquire_seconds_total > 0.02
    assert stats.opened_total == 1


async def test_a_task_holds_one_connection_however_often_it_asks(small: Database) -> None:
    async with small.connection() as outer, small.connection() as inner, small.transaction():
        assert inner is outer
        assert await small.fetch_val("SELECT 1") == 1

    assert small.stats().idle == 1


async def test_whoever_takes_it_again_at_once_lets_those_who_wait_go_first(small: Database) -> None:
    turns = 0

    async def greedy() -> None:
        nonlocal turns
        while turns < 100:
            async with small.connection() as connection:
                await connection.fetch_val("SELECT 1")
            turns += 1

    async def modest() -> int:
        await small.fetch_val("SELECT 1")
        return turns

    first = asyncio.create_task(greedy())
    await asyncio.sleep(0)
    waited = await modest()
    await first

    assert waited < 10


async def test_a_lost_connection_is_counted_and_replaced(small: Database) -> None:
    async with small.connection() as connection:
        connection.raw.terminate()

    assert small.stats().discarded_total == 1
    assert await small.fetch_val("SELECT 1") == 1
    assert small.stats().opened_total == 2


async def test_a_wave_of_cancelled_requests_is_not_a_wave_of_logins(settings: TestSettings) -> None:
    chosen = settings().database
    async with open_proxy(chosen.host, chosen.port) as proxy:
        proxy.stall()
        db = Database(
            settings("database.host=127.0.0.1", f"database.port={proxy.port}", "database.pool_min=0").database
        )
        await db.connect()
        for _ in range(20):
            task = asyncio.create_task(db.fetch_val("SELECT 1"))
            await eventually(lambda: proxy.accepted, within=10)
            task.cancel()
            await asyncio.wait({task})
        proxy.heal()

        assert await db.fetch_val("SELECT 1") == 1
        assert proxy.accepted == 1
        await db.disconnect()


async def test_closing_does_not_wait_for_ever(settings: TestSettings) -> None:
    db = Database(settings().database)
    await db.connect()
    held = asyncio.Event()

    async def hog() -> None:
        async with db.connection():
            held.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hog())
    await held.wait()
    async with asyncio.timeout(20):
        await db.disconnect()
    task.cancel()
    await asyncio.wait({task})

    assert not db.is_connected
    await db.connect()
    assert await db.fetch_val("SELECT 1") == 1
    await db.disconnect()
