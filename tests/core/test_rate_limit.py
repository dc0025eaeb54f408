"""The log of requests in Redis: exact in every window, whoever asks, and gone when it is over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from app.core.rate_limit import SECOND, Decision, Window, take
from app.core.redis import Redis, RedisUnavailable, open_redis
from app.embedded import RedisServer
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually


class Commands:
    """Which commands were sent, and how they ended."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def commanded(self, command: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((command, outcome))


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
async def redis(settings: TestSettings, commands: Commands) -> AsyncIterator[Redis]:
    async with open_redis(settings("redis.timeout=30").redis, observer=commands) as client:
        yield client


async def passed(redis: Redis, *windows: Window, times: int) -> int:
    """How many of so many requests pass."""
    return sum([(await take(redis, windows)).passes for _ in range(times)])


async def advance(redis: Redis, window: Window, seconds: float) -> None:
    """Move time on, as this window sees it: what passed is that much longer ago."""
    times = await redis.execute("LRANGE", window.key, 0, -1)
    if times:
        await redis.execute("DEL", window.key)
        await redis.execute("RPUSH", window.key, *(int(time) - int(seconds * SECOND) for time in times))


async def test_as_many_pass_as_the_limit_says_and_the_rest_is_told_when(redis: Redis) -> None:
    window = Window("w", 2, 60)

    decisions = [await take(redis, [window]) for _ in range(3)]

    assert decisions == [Decision(True, 2, 1, 0), Decision(True, 2, 0, 0), Decision(False, 2, 0, 60)]


async def test_the_window_slides_and_never_holds_more(redis: Redis) -> None:
    window = Window("w", 3, 60)
    assert await passed(redis, window, times=1) == 1

    await advance(redis, window, 55)
    late = await passed(redis, window, times=10)
    await advance(redis, window, 5)
    after_the_first_left = await passed(redis, window, times=10)
    refused = await take(redis, [window])

    # A fixed window would have let three more in, and so would a bucket that refills one each 20 seconds.
    assert (late, after_the_first_left) == (2, 1)
    assert refused == Decision(False, 3, 0, 55)


def history(seed: int) -> Iterator[tuple[Window, int, list[int], bool]]:
    """Requests of one window: when each comes, when others have passed before, and whether it passes."""
    chance = random.Random(seed)  # noqa: S311  (a history, not a secret)
    window = Window("w", chance.randint(1, 5), chance.choice([10, 30, 100]))
    now, times = 0, list[int]()
    for _ in range(60):
        now += chance.choice([0, 0, 0, 10, 20, 50])  # steps that a slow machine's milliseconds don't blur
        passes = len([time for time in times if time > now - window.per]) < window.requests
        yield window, now, times.copy(), passes
        times += [now] * passes


@pytest.mark.parametrize("seed", range(5))
async def test_any_history_is_decided_as_a_list_of_times_decides_it(redis: Redis, seed: int) -> None:
    before = 0
    for window, now, _, expected in history(seed):
        await advance(redis, window, now - before)
        before = now

        assert (await take(redis, [window])).passes is expected


def fixed_window(window: Window, now: int, times: list[int]) -> bool:
    """Counts from the first request on, and begins anew after it."""
    begin = 0
    for time in times:
        begin = time if time >= begin + window.per else begin
    return now >= begin + window.per or len([time for time in times if time >= begin]) < window.requests


def bucket(window: Window, now: int, times: list[int]) -> bool:
    """GCRA: what is used up comes back little by little."""
    step, due = window.per / window.requests, 0.0
    for time in times:
        due = max(due, time) + step
    return max(due, now) + step - now <= window.per


@pytest.mark.parametrize("other", [fixed_window, bucket])
def test_these_histories_tell_other_ways_of_counting_apart(other: Callable[[Window, int, list[int]], bool]) -> None:
    differ = 0
    for seed in range(5):
        for window, now, times, expected in history(seed):
            differ += other(window, now, times) is not expected

    assert differ


async def test_a_clock_that_is_set_back_shuts_nobody_out(redis: Redis) -> None:
    window = Window("w", 2, 60)
    assert await passed(redis, window, times=3) == 2

    await advance(redis, window, -3600)

    assert await passed(redis, window, times=3) == 2


async def test_two_processes_share_one_limit(settings: TestSettings, redis: Redis) -> None:
    window = Window("w", 25, 60)

    async with open_redis(settings("redis.timeout=30").redis) as other:
        decisions = await asyncio.gather(*(take(client, [window]) for client in (redis, other) for _ in range(50)))

    assert [each.passes for each in decisions].count(True) == 25
    assert sorted(each.remaining for each in decisions if each.passes) == list(range(25))


async def test_a_refused_request_counts_in_no_window(redis: Redis) -> None:
    roomy, tight = Window("roomy", 100, 60), Window("tight", 2, 60)

    assert await passed(redis, roomy, tight, times=10) == 2

    assert [await redis.execute("LLEN", window.key) for window in (roomy, tight)] == [2, 2]


async def test_the_tightest_window_is_told_and_the_longest_wait(redis: Redis) -> None:
    short, long = Window("short", 3, 10), Window("long", 4, 600)

    first = await take(redis, [short, long])
    await passed(redis, short, long, times=2)
    full = await take(redis, [short, long])
    await advance(redis, short, 10)
    after = await take(redis, [short, long])
    both = await take(redis, [Window("long", 4, 600), Window("short", 1, 10)])

    assert first == Decision(True, 3, 2, 0)
    assert full == Decision(False, 3, 0, 10)
    assert after == Decision(True, 4, 0, 0)
    assert (both.passes, both.retry_after) == (False, 600)


async def test_all_windows_are_one_question(redis: Redis, commands: Commands) -> None:
    windows = [Window(str(number), 5, 60) for number in range(4)]
    await take(redis, windows)
    commands.seen.clear()

    await take(redis, windows)

    assert commands.seen == [("EVALSHA", "ok")]


async def test_a_redis_that_forgot_the_script_is_told_again(
    settings: TestSettings, own_redis: RedisServer, commands: Commands
) -> None:
    window = Window("w", 2, 60)
    own = settings(f"redis.url={own_redis.url}", "redis.timeout=30")  # scripts are shared by all databases of a server
    async with open_redis(own.redis, observer=commands) as redis:
        await take(redis, [window])
        await redis.execute("SCRIPT", "FLUSH")
        commands.seen.clear()

        decision = await take(redis, [window])
        await take(redis, [window])

    assert decision.passes
    assert decision.remaining == 0
    assert commands.seen == [("EVALSHA", "error"), ("EVAL", "ok"), ("EVALSHA", "ok")]


async def test_a_long_log_is_dropped_little_by_little_and_decided_right(redis: Redis) -> None:
    window = Window("w", 1000, 60)
    assert await passed(redis, window, times=1001) == 1000

    await advance(redis, window, 60)
    first = await take(redis, [window])
    rest = await passed(redis, window, times=1000)

    assert first == Decision(True, 1000, 99, 0)  # a hundred were dropped: what is told is too little, not too much
    assert rest == 999


async def test_nothing_is_left_after_the_window(redis: Redis) -> None:
    windows = [Window("a", 2, 1), Window("b", 1, 1)]
    assert await passed(redis, *windows, times=3) == 1
    assert await redis.execute("DBSIZE") == 2

    async def empty() -> bool:
        return bool(await redis.execute("DBSIZE") == 0)

    await eventually(empty, within=10)


async def test_a_refusal_does_not_prolong_the_window(redis: Redis) -> None:
    window = Window("w", 1, 60)
    await take(redis, [window])
    await redis.execute("PEXPIRE", window.key, 5000)

    assert await passed(redis, window, times=3) == 0

    assert await redis.execute("PTTL", window.key) <= 5000


async def test_an_error_as_the_answer_is_as_good_as_none(redis: Redis) -> None:
    await redis.execute("SET", "w", "of somebody else")

    with pytest.raises(RedisUnavailable) as raised:
        await take(redis, [Window("w", 1, 60)])

    assert "WRONGTYPE" in str(raised.value.__cause__)
