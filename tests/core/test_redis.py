"""Commands to a Redis that answers."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ResponseError

from app.core.redis import Redis, open_redis
from tests.harness.settings import TestSettings


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def commanded(self, command: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((command, outcome))


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
async def redis(settings: TestSettings, watcher: Watcher) -> AsyncIterator[Redis]:
    async with open_redis(settings("redis.timeout=30").redis, observer=watcher) as opened:
        yield opened


async def test_a_command_gives_what_redis_answers(redis: Redis, watcher: Watcher) -> None:
    assert await redis.execute("SET", "key", "value", "PX", 60_000) is True
    assert await redis.execute("GET", "key") == b"value"
    assert await redis.execute("INCRBY", "number", 5) == 5

    assert watcher.seen == [("SET", "ok"), ("GET", "ok"), ("INCRBY", "ok")]


async def test_an_answer_that_is_an_error_is_not_taken_for_an_outage(redis: Redis, watcher: Watcher) -> None:
    await redis.execute("SET", "key", "value")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await redis.execute("LPUSH", "key", "x")

    assert redis.is_up
    assert watcher.seen[-1] == ("LPUSH", "error")


async def test_cancelled_commands_never_mix_up_answers(redis: Redis) -> None:
    """An answer that arrives after its command was given up must not be taken for the next command's."""
    dice = random.Random(3)  # noqa: S311  (a fixed seed makes a failure repeatable)
    loop = asyncio.get_running_loop()
    cut = turn = 0

    async def client() -> None:
        nonlocal cut, turn
        while cut < 200 or turn == cut:
            turn += 1
            word = f"word {turn}"
            task = asyncio.ensure_future(redis.execute("ECHO", word))
            # Longer where none was in time so far: some are to be answered on a busy machine, too.
            loop.call_later(dice.random() * (0.02 if turn > cut + 10 else 0.5), task.cancel)
            await asyncio.wait({task})
            cut += task.cancelled()
            assert task.cancelled() or task.result() == word.encode()

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(client())

    assert turn > cut
    assert await redis.execute("PING") is True


async def test_the_check_pings(redis: Redis) -> None:
    redis.is_up = False

    await redis.check()

    assert redis.is_up


def test_the_client_library_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, app.core.redis; sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
