"""How Redis counts what is published: each topic for itself, without a gap, and never the same number twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.realtime import Channels, Position
from app.core.realtime.counting import DAY, count_and_publish, position_command, positions
from app.core.realtime.messages import Kind, state_key
from app.core.redis import Redis, open_redis
from app.embedded import RedisServer
from tests.harness.settings import TestSettings


@pytest.fixture
async def redis(settings: TestSettings) -> AsyncIterator[Redis]:
    async with open_redis(settings("redis.timeout=30").redis) as client:
        yield client


def channels_of(redis: Redis) -> Channels:
    return Channels(redis.settings.url.reveal())


async def push(redis: Redis, *topics: str, kind: Kind = Kind.EVENT) -> None:
    await count_and_publish(redis, channels_of(redis), kind, topics, b"{}")


async def look(redis: Redis, *topics: str) -> list[Position]:
    command, *arguments = position_command(channels_of(redis), topics)
    return positions(await redis.execute(str(command), *arguments))


async def test_each_topic_counts_for_itself(redis: Redis) -> None:
    before = await look(redis, "a", "b", "c")

    await push(redis, "a")
    await push(redis, "a", "b")

    after = await look(redis, "a", "b", "c")
    assert [each.seq for each in before] == [0, 0, 0]
    assert [each.seq for each in after] == [2, 1, 0]
    assert [each.epoch for each in after] == [each.epoch for each in before]


async def test_looking_counts_nothing_and_a_resync_counts_like_an_event(redis: Redis) -> None:
    await push(redis, "a")
    await look(redis, "a")
    await look(redis, "a")
    await push(redis, "a", kind=Kind.RESYNC)

    assert [each.seq for each in await look(redis, "a")] == [2]


async def test_many_at_once_leave_no_gap(redis: Redis) -> None:
    await asyncio.gather(*(push(redis, "a", "b") for _ in range(200)))

    assert [each.seq for each in await look(redis, "a", "b")] == [200, 200]


async def test_large_numbers_stay_whole(redis: Redis) -> None:
    await push(redis, "a")
    await redis.execute("HSET", state_key("a"), "seq", 2**53 - 2)

    await push(redis, "a")

    assert (await look(redis, "a"))[0].seq == 2**53 - 1


async def test_a_position_ends_a_day_after_its_last_use_and_another_epoch_begins(redis: Redis) -> None:
    [before] = await look(redis, "a")
    assert DAY - 60 < await redis.execute("TTL", state_key("a")) <= DAY

    await redis.execute("DEL", state_key("a"))
    await push(redis, "a")

    [after] = await look(redis, "a")
    assert after.seq == 1
    assert after.epoch != before.epoch


@pytest.mark.parametrize("damage", [("HDEL", "seq"), ("HDEL", "epoch"), ("HSET", "seq", "many")])
async def test_a_damaged_position_begins_anew(redis: Redis, damage: tuple[str, ...]) -> None:
    await push(redis, "a")
    command, *arguments = damage
    await redis.execute(command, state_key("a"), *arguments)

    await push(redis, "a")

    assert [each.seq for each in await look(redis, "a")] == [1]


@pytest.mark.fault
async def test_a_redis_that_comes_back_with_an_old_count_begins_another_epoch(
    settings: TestSettings, own_redis: RedisServer
) -> None:
    """Else it gave numbers a second time, and a client that was away would think it has what they stand for."""
    async with open_redis(settings(f"redis.url={own_redis.url}", "redis.timeout=30").redis) as redis:
        await push(redis, "a")
        [saved] = await look(redis, "a")
        await redis.execute("SAVE")
        for _ in range(3):
            await push(redis, "a")
        [lost] = await look(redis, "a")
        await own_redis.restart()  # this one saves nothing at its end, as one that is killed
        redis.is_up = True

        remembered = await redis.execute("HGET", state_key("a"), "seq")
        await push(redis, "a")

        [now] = await look(redis, "a")
    assert (saved.seq, lost.seq, int(remembered)) == (1, 4, 1)
    assert now.seq == 1
    assert now.epoch != lost.epoch
