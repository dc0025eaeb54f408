"""What is heard over a real Redis: everything after the position that a listener was given, once, in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis as Client
from structlog.testing import capture_logs

from app.core.realtime import Channels, Position, Publisher, open_publisher
from app.core.realtime.counting import begin_era
from app.core.realtime.messages import Control, state_key
from app.core.redis import Redis, open_redis
from app.sockets.fanout import Fanout
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.sockets.listening import Event, Recorder, Resync, listening

WITHIN = 20.0  # seconds; a busy machine


@pytest.fixture
async def redis(settings: TestSettings) -> AsyncIterator[Redis]:
    async with open_redis(settings("redis.timeout=30").redis) as client:
        yield client


@pytest.fixture
async def publisher(redis: Redis) -> AsyncIterator[Publisher]:
    async with open_publisher(redis) as opened:
        yield opened


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def fanout(settings: TestSettings, recorder: Recorder) -> AsyncIterator[Fanout]:
    async with listening(settings().redis, recorder) as running:
        yield running


async def channels(redis: Redis) -> set[str]:
    """The topics that anybody is subscribed to, as Redis knows it."""
    names = Channels(redis.settings.url.reveal())
    found = await redis.execute("PUBSUB", "CHANNELS", names.of_topic("*"))
    return {str(names.topic_of(channel.decode())) for channel in found}


async def test_a_listener_is_told_of_everything_after_its_position(
    fanout: Fanout, publisher: Publisher, recorder: Recorder
) -> None:
    await publisher.publish("a", "before")
    position = await fanout.want("a")
    await publisher.publish("a", {"n": 1})
    await publisher.publish("other", {})
    await publisher.publish("a", {"n": 2})
    await eventually(lambda: len(recorder.told) == 2, within=WITHIN)

    assert position
    assert position.seq == 1
    assert recorder.told == [
        Event("a", Position(position.epoch, 2), {"n": 1}),
        Event("a", Position(position.epoch, 3), {"n": 2}),
    ]
    assert len(recorder.lags) == 2
    assert all(0 <= lag < WITHIN for lag in recorder.lags)


async def test_the_position_is_that_of_the_moment_it_is_given(fanout: Fanout, publisher: Publisher) -> None:
    first = await fanout.want("a")
    assert first
    await publisher.publish("a", {})

    async def moved() -> Position | None:
        position = await fanout.want("a")
        fanout.drop("a")
        return position if position != first else None

    assert await eventually(moved, within=WITHIN) == Position(first.epoch, 1)


async def test_no_push_is_lost_between_the_position_and_the_first_that_is_heard(
    fanout: Fanout, publisher: Publisher, recorder: Recorder
) -> None:
    """Pushes go on while listeners come: what is not in the position is heard."""

    async def come() -> tuple[Position, int]:
        position = await fanout.want("a")
        assert position
        return position, len(recorder.told)

    async def push() -> None:
        for number in range(200):
            await publisher.publish("a", number)

    pushing = asyncio.create_task(push())
    came = []
    while not pushing.done():
        came.append(await come())
        fanout.drop("a")
        await asyncio.sleep(0)
    final = await fanout.want("a")
    await publisher.publish("a", "last")
    await eventually(lambda: recorder.told and recorder.told[-1] == Event("a", _next(final), "last"), within=WITHIN)

    assert len(came) > 20
    assert not recorder.announced("a")
    for position, told in came:
        following = [each for each in recorder.told[told:] if isinstance(each, Event)]
        assert following[0].position.seq > position.seq


def _next(position: Position | None) -> Position:
    assert position
    return Position(position.epoch, position.seq + 1)


async def test_every_listener_counts_and_the_last_one_ends_the_subscription(fanout: Fanout, redis: Redis) -> None:
    await fanout.want("a")
    await fanout.want("a")
    fanout.drop("a")
    await fanout.want("b")
    assert await channels(redis) == {"a", "b"}

    fanout.drop("a")

    async def only_b() -> bool:
        return await channels(redis) == {"b"}

    await eventually(only_b, within=WITHIN)


async def test_a_topic_that_is_left_and_wanted_again_at_once_is_heard(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, redis: Redis
) -> None:
    await fanout.want("a")
    fanout.drop("a")
    position = await fanout.want("a")
    await publisher.publish("a", {})
    await eventually(lambda: recorder.events("a"), within=WITHIN)

    assert position
    assert recorder.told == [Event("a", Position(position.epoch, 1), {})]
    assert await channels(redis) == {"a"}


async def test_hundreds_are_wanted_at_once(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, redis: Redis
) -> None:
    topics = [f"t:{number}" for number in range(750)]

    positions = await asyncio.gather(*(fanout.want(topic) for topic in topics))
    await asyncio.gather(*(publisher.publish(topic, topic) for topic in topics))
    await eventually(lambda: len(recorder.told) == len(topics), within=WITHIN)

    assert all(position and position.seq == 0 for position in positions)
    assert {each.topic: each.data for each in recorder.told if isinstance(each, Event)} == {t: t for t in topics}
    assert await channels(redis) == set(topics)


async def test_one_that_stops_waiting_leaves_nothing_behind(fanout: Fanout, redis: Redis) -> None:
    await fanout.want("kept")
    for turns in range(12):
        task = asyncio.create_task(fanout.want("a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            fanout.drop("a")

    async def only_kept() -> bool:
        return await channels(redis) == {"kept"}

    await eventually(only_kept, within=WITHIN)
    assert set(fanout._wanted) == set(fanout._subscribed) == {"kept"}


async def test_one_that_stops_waiting_takes_nothing_from_the_others(fanout: Fanout) -> None:
    tasks = [asyncio.create_task(fanout.want("a")) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks)

    assert tasks[0].cancelled()
    assert tasks[1].result() == tasks[2].result() is not None
    fanout.drop("a")
    fanout.drop("a")
    with pytest.raises(KeyError):
        fanout.drop("a")


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_comes_and_goes_redis_has_the_same_subscriptions_in_the_end(
    fanout: Fanout, redis: Redis, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  (a history, not a secret)
    topics = [f"t:{number}" for number in range(8)]
    held: list[str] = []
    waiting: set[asyncio.Task[None]] = set()

    async def want(topic: str) -> None:
        await fanout.want(topic)
        held.append(topic)

    for _ in range(400):
        match chance.choice(["want", "want", "drop", "cancel", "breathe"]):
            case "want":
                waiting.add(asyncio.create_task(want(chance.choice(topics))))
            case "drop" if held:
                fanout.drop(held.pop(chance.randrange(len(held))))
            case "cancel" if waiting:
                chance.choice(list(waiting)).cancel()
            case _:
                await asyncio.sleep(0)
    await asyncio.wait(waiting)

    async def same() -> bool:
        return await channels(redis) == set(held)

    await eventually(same, within=WITHIN)
    assert {topic: wanted.listeners for topic, wanted in fanout._wanted.items()} == {
        topic: held.count(topic) for topic in held
    }


async def test_a_number_that_is_missing_is_announced_before_what_follows(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, redis: Redis
) -> None:
    position = await fanout.want("a")
    assert position
    await redis.execute("HINCRBY", state_key("a"), "seq", 1)  # as if one had been published and lost

    await publisher.publish("a", {})
    await publisher.publish("a", {})
    await eventually(lambda: len(recorder.told) == 3, within=WITHIN)

    epoch = position.epoch
    assert recorder.told == [
        Resync("a", Position(epoch, 1)),
        Event("a", Position(epoch, 2), {}),
        Event("a", Position(epoch, 3), {}),
    ]
    assert recorder.resyncs == 1


@pytest.mark.parametrize("damage", ["FLUSHDB", "DEL", "back"])
async def test_a_count_that_begins_anew_is_announced(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, redis: Redis, damage: str
) -> None:
    await publisher.publish("a", {})
    await publisher.publish("a", {})
    before = await fanout.want("a")
    assert before
    match damage:
        case "FLUSHDB":
            await redis.execute("FLUSHDB")
        case "DEL":  # or expired
            await redis.execute("DEL", state_key("a"))
        case _:  # or taken from an old copy
            await redis.execute("HSET", state_key("a"), "seq", 0)

    await publisher.publish("a", {})
    await eventually(lambda: recorder.events("a"), within=WITHIN)

    [resync, event] = recorder.told
    assert isinstance(resync, Resync)
    assert resync.position.seq == 0
    assert (event.position.epoch == before.epoch) is (damage == "back")
    assert event.position == Position(resync.position.epoch, 1)


async def test_sign_outs_and_what_is_owed_to_all_reach_everybody(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, redis: Redis, settings: TestSettings
) -> None:
    other = Recorder()
    async with listening(settings().redis, other) as second:
        for topic in ("a", "b"):
            await fanout.want(topic)
            await second.want(topic)
        reviews = recorder.reviews, other.reviews
        everything = Control(review=True, resync=True).dump()
        await publisher.disconnect("ada", "session:1")
        await publisher.disconnect("bob")
        await redis.execute("PUBLISH", Channels(redis.settings.url.reveal()).control, everything)
        await eventually(lambda: len(recorder.told) == len(other.told) == 2, within=WITHIN)

    assert recorder.signed_out == other.signed_out == [("ada", "session:1"), ("bob", None)]
    assert (recorder.reviews, other.reviews) == (reviews[0] + 1, reviews[1] + 1)
    assert {each.topic for each in recorder.told} == {each.topic for each in other.told} == {"a", "b"}
    assert recorder.resyncs == 2


async def test_an_era_that_begins_is_announced_with_the_positions_of_the_new_one(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, redis: Redis
) -> None:
    topics = [f"t:{number}" for number in range(250)]
    before = {topic: await fanout.want(topic) for topic in topics}

    await begin_era(redis)
    await redis.execute("PUBLISH", Channels(redis.settings.url.reveal()).control, Control(resync=True).dump())
    await eventually(lambda: len(recorder.told) == len(topics), within=WITHIN)
    await publisher.publish("t:0", {})
    await eventually(lambda: recorder.events("t:0"), within=WITHIN)

    after = {topic: recorder.announced(topic)[0].position for topic in topics}
    assert all(_epoch(before[topic]) != after[topic].epoch for topic in topics)
    assert recorder.events("t:0") == [Event("t:0", _next(after["t:0"]), {})]
    assert len(recorder.told) == len(topics) + 1


def _epoch(position: Position | None) -> str:
    assert position
    return position.epoch


async def test_what_no_publisher_of_ours_has_sent_is_logged_and_passed_over(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, redis: Redis
) -> None:
    names = Channels(redis.settings.url.reveal())
    await fanout.want("a")

    with capture_logs() as logs:
        for payload in (b"", b"nonsense", b"event \xff 1 1 {}", b"{}"):
            await redis.execute("PUBLISH", names.of_topic("a"), payload)
            await redis.execute("PUBLISH", names.control, payload)
        await publisher.publish("a", {})
        await eventually(lambda: recorder.events("a"), within=WITHIN)

    assert [entry["event"] for entry in logs] == ["realtime_malformed"] * 8
    assert len(recorder.told) == 1


async def test_databases_of_one_redis_do_not_hear_each_other(
    fanout: Fanout, publisher: Publisher, recorder: Recorder, settings: TestSettings, redis_url: str
) -> None:
    await fanout.want("a")
    elsewhere = redis_url.rpartition("/")[0] + "/0"
    async with open_redis(settings(f"redis.url={elsewhere}", "redis.timeout=30").redis) as redis:
        try:
            async with open_publisher(redis) as other:
                assert await other.publish("a", "of somebody else")
                assert await other.disconnect("ada")
        finally:
            await redis.execute("DEL", state_key("a"))
    await publisher.publish("a", "ours")
    await eventually(lambda: recorder.told, within=WITHIN)

    assert [each.data for each in recorder.events("a")] == ["ours"]
    assert recorder.signed_out == []


async def test_a_mistake_in_who_receives_is_logged_and_announced(settings: TestSettings, publisher: Publisher) -> None:
    class Broken(Recorder):
        async def deliver(self, topic: str, position: Position, data: bytes) -> int:
            raise LookupError(topic, position, data)

    recorder = Broken()
    with capture_logs() as logs:
        async with listening(settings().redis, recorder) as fanout:
            await fanout.want("a")
            await publisher.publish("a", {})
            await eventually(lambda: recorder.announced("a"), within=WITHIN)

    [lost] = [entry for entry in logs if entry["event"] == "realtime_disconnected"]
    assert isinstance(lost["exc_info"], LookupError)


async def subscribers(client: Client) -> list[str]:
    """Addresses of those in the client's own database: one Redis is shared by all tests that run now."""
    own = str(client.connection_pool.connection_kwargs["db"])
    return [each["addr"] for each in await client.client_list(_type="pubsub") if each["db"] == own]


async def test_nothing_is_left_open_at_the_end(settings: TestSettings, redis_url: str) -> None:
    async with Client.from_url(redis_url) as client:
        async with listening(settings().redis, Recorder()) as fanout:
            await fanout.want("a")
            assert len(await subscribers(client)) == 1
        tasks = asyncio.all_tasks()

        async def gone() -> bool:
            return await subscribers(client) == []

        await eventually(gone, within=WITHIN)

    assert tasks == {asyncio.current_task()}
