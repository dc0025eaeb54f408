"""Section `redis`."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import pytest

from app.core.redis import RedisUnavailable, open_redis, redis_probe
from app.core.redis_line import DEPTH
from tests.core.running import running
from tests.effects.case import Trial, Values, limits, shows
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.redis_databases import at
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually


def two_databases(usual: TestSettings) -> Values:
    url = usual().redis.url.reveal()
    own = int(urlsplit(url).path.removeprefix("/"))
    return {url: own, at(url, 0): 0}


@shows("redis.url", two_databases)
async def the_database_that_answers(trial: Trial) -> int:
    async with open_redis(trial.settings("redis.timeout=30").redis) as redis:
        found = re.search(rb" db=(\d+)", await redis.execute("CLIENT", "INFO"))
    return int(found[1]) if found else -1


@limits("redis.timeout", short="0.05")
async def a_command_waits_for_a_silent_redis(trial: Trial) -> None:
    async with _proxy(trial) as proxy:
        proxy.stall()
        async with open_redis(trial.settings(_through(trial, proxy)).redis) as redis:
            with pytest.raises(RedisUnavailable):
                await redis.execute("PING")


@shows("redis.pool_max", {"2": 2, "5": 5})
async def connections_that_many_commands_open(trial: Trial) -> int:
    async with _proxy(trial) as proxy:
        async with open_redis(trial.settings(_through(trial, proxy), "redis.timeout=30").redis) as redis:
            # They wait, so that the connections that are open have enough to do.
            await asyncio.gather(*(redis.execute("BLPOP", "nothing", 0.02) for _ in range(6 * DEPTH)))
        return proxy.accepted


@limits("redis.health_interval", short="0.05")
async def the_probe_rests_before_it_asks_again(trial: Trial) -> None:
    async with open_redis(trial.settings().redis) as redis:
        probe = redis_probe(redis)
        first = await probe.check_once()
        async with running(probe):
            await eventually(lambda: probe.result is not first, within=60)
            second = probe.result
            await eventually(lambda: probe.result is not second, within=60)


def _proxy(trial: Trial) -> AbstractAsyncContextManager[Proxy]:
    parts = urlsplit(trial.usual().redis.url.reveal())
    return open_proxy(parts.hostname or "", parts.port or 6379)


def _through(trial: Trial, proxy: Proxy) -> str:
    return f"redis.url={proxy.url(trial.usual().redis.url.reveal())}"
