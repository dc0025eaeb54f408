"""Redis is killed, stopped or never there: work that can do without it is hardly slowed down."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psutil
import pytest
import redis.asyncio as stock_redis
from structlog.testing import capture_logs

from app.core.redis import Redis, RedisUnavailable, open_redis, redis_probe
from app.embedded import RedisServer
from tests.core.running import running
from tests.harness.processes import kill, stalled
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually, lateness

pytestmark = pytest.mark.fault

ADDED = 0.1  # seconds, the most that a request may lose


@pytest.fixture
async def redis(own_settings: TestSettings) -> AsyncIterator[Redis]:
    async with open_redis(own_settings().redis) as opened:

        async def has_answered() -> bool:
            opened.is_up = True  # a busy machine may need longer for the first connection than a command has
            with suppress(RedisUnavailable):
                await opened.execute("PING")
            return opened.is_up

        await eventually(has_answered, within=20)
        yield opened


async def seconds_lost(redis: Redis) -> float:
    started = time.monotonic()
    with pytest.raises(RedisUnavailable) as caught:
        await redis.execute("PING")
    assert caught.value.retry_after == 1
    return time.monotonic() - started


@asynccontextmanager
async def stopped(server: RedisServer) -> AsyncIterator[None]:
    process = psutil.Process(server.pid)
    with stalled(server.pid):
        await eventually(lambda: process.status() == psutil.STATUS_STOPPED, within=20)
        yield


async def test_a_stopped_redis_costs_one_short_wait_and_then_nothing(redis: Redis, own_redis: RedisServer) -> None:
    async with stopped(own_redis):
        first = []
        for _ in range(9):
            redis.is_up = True  # as if nobody had noticed yet
            first.append(await seconds_lost(redis))
        rest = [await seconds_lost(redis) for _ in range(1000)]

    # Medians, as this machine may be busy with other tests.
    assert redis.settings.timeout <= statistics.median(first) < ADDED
    assert statistics.median(rest) < ADDED / 100


async def test_twenty_requests_at_once_lose_no_more_than_one(redis: Redis, own_redis: RedisServer) -> None:
    async with stopped(own_redis):
        lost, late = await asyncio.gather(
            asyncio.gather(*(seconds_lost(redis) for _ in range(20))), lateness(redis.settings.timeout)
        )

    assert statistics.median(lost) < ADDED + late
    assert max(lost) < 5 * ADDED + late


async def test_the_stock_client_waits_for_seconds(own_redis: RedisServer) -> None:
    async with stock_redis.Redis.from_url(own_redis.url) as client:
        await client.ping()
        async with stopped(own_redis):
            task = asyncio.ensure_future(client.ping())
            _, waiting = await asyncio.wait({task}, timeout=10 * ADDED)
            task.cancel()
            await asyncio.wait({task})

    assert waiting


async def test_a_killed_redis_costs_next_to_nothing_and_its_return_is_noticed(
    redis: Redis, own_redis: RedisServer
) -> None:
    async with running(redis_probe(redis)) as probe:
        await eventually(lambda: probe.result.ok, within=20)
        kill(own_redis.pid)
        await eventually(lambda: not own_redis.running, within=20)
        lost = [await seconds_lost(redis) for _ in range(100)]
        await eventually(lambda: not probe.result.ok, within=20)

        await own_redis.restart()
        await eventually(lambda: probe.result.ok, within=20)
        await eventually(lambda: redis.execute("PING"), within=20)  # opening a connection may take longer than it has

    assert statistics.median(lost) < ADDED / 10
    assert max(lost) < 5 * ADDED


async def test_a_stopped_redis_is_used_again_once_it_answers_its_probe(redis: Redis, own_redis: RedisServer) -> None:
    async with running(redis_probe(redis)) as probe:
        await eventually(lambda: probe.result.ok, within=20)
        async with stopped(own_redis):
            await seconds_lost(redis)
            await eventually(lambda: not probe.result.ok, within=20)
        await eventually(lambda: probe.result.ok, within=20)

        await eventually(lambda: redis.execute("PING"), within=20)


async def test_a_client_opens_and_lives_without_redis(own_settings: TestSettings) -> None:
    with capture_logs() as logs:
        async with open_redis(own_settings("redis.url=redis://user:very-secret@127.0.0.1:1/0").redis) as redis:
            lost = await seconds_lost(redis)
            result = await redis_probe(redis).check_once()

    assert lost < 5 * ADDED
    assert not result.ok
    assert "very-secret" not in f"{logs}{result}"
    assert [entry["event"] for entry in logs] == ["redis_unavailable"]
