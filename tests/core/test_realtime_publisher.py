"""Pushing from any process: what Redis took is counted, and what it did not take is announced once it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from redis.asyncio import Redis as Client
from structlog.testing import capture_logs

from app.core.realtime import Channels, Position, Publisher, open_publisher
from app.core.realtime.counting import position_command, positions
from app.core.realtime.messages import Control, Kind, Message, SignOut
from app.core.realtime.owed import MOST
from app.core.realtime.publisher import LAST_TRY, MAX_DATA
from app.core.redis import Redis, open_redis, redis_probe
from app.embedded import RedisServer
from tests.core.running import running
from tests.harness.processes import stalled
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

BACK = 20.0  # seconds; a busy machine


class Counts:
    """How pushes ended."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def published(self, outcome: str) -> None:
        self.outcomes.append(outcome)


class Ear:
    """Hears all channels of one Redis with the stock client, which is good enough while nothing is cut."""

    def __init__(self, url: str) -> None:
        self._channels = Channels(url)
        self.messages: list[tuple[str, Message]] = []
        self.controls: list[Control] = []

    def hear(self, channel: str, payload: bytes) -> None:
        if topic := self._channels.topic_of(channel):
            self.messages.append((topic, Message.parse(payload)))
        elif channel == self._channels.control:
            self.controls.append(Control.parse(payload))

    def resyncs(self) -> list[str]:
        return [topic for topic, message in self.messages if message.kind is Kind.RESYNC]


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[Ear]:
    ear = Ear(url)
    async with Client.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe("realtime:*")
        await pubsub.get_message(timeout=20)

        async def listen() -> None:
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    ear.hear(message["channel"].decode(), message["data"])

        task = asyncio.create_task(listen())
        try:
            yield ear
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def redis(settings: TestSettings) -> AsyncIterator[Redis]:
    async with open_redis(settings("redis.timeout=30").redis) as client:
        yield client


@pytest.fixture
async def publisher(redis: Redis, counts: Counts) -> AsyncIterator[Publisher]:
    async with open_publisher(redis, observer=counts) as opened:
        yield opened


async def test_what_redis_took_is_there_in_order_with_its_numbers(
    publisher: Publisher, redis_url: str, counts: Counts
) -> None:
    async with hearing(redis_url) as ear:
        taken = [
            await publisher.publish("orders:1", {"n": 1}),
            await publisher.publish("orders:1", [2, "ä"]),
            await publisher.send_to_user("ada", None),
            await publisher.broadcast("all"),
        ]
        await eventually(lambda: len(ear.messages) == 4, within=BACK)

    heard = [(topic, message.kind, message.position.seq, message.data) for topic, message in ear.messages]
    assert taken == [True] * 4
    assert heard == [
        ("orders:1", Kind.EVENT, 1, b'{"n":1}'),
        ("orders:1", Kind.EVENT, 2, '[2,"ä"]'.encode()),
        ("user:ada", Kind.EVENT, 1, b"null"),
        ("everyone", Kind.EVENT, 1, b'"all"'),
    ]
    assert counts.outcomes == ["ok"] * 4


async def test_a_sign_out_says_whose_sockets_are_meant(publisher: Publisher, redis_url: str) -> None:
    async with hearing(redis_url) as ear:
        taken = [await publisher.disconnect("ada"), await publisher.disconnect("any id: ü", "session:1")]
        await eventually(lambda: len(ear.controls) == 2, within=BACK)

    assert taken == [True, True]
    assert ear.controls == [Control((SignOut("ada"),)), Control((SignOut("any id: ü", "session:1"),))]


async def test_data_up_to_the_limit_is_taken_and_more_refused(publisher: Publisher) -> None:
    assert await publisher.publish("a", "x" * (MAX_DATA - 2))

    with pytest.raises(ValueError, match="65537 bytes"):
        await publisher.publish("a", "x" * (MAX_DATA - 1))


@pytest.mark.parametrize("topic", ["", "A", "a b", "a:", "a:b:c:d:e:f"])
async def test_a_malformed_topic_is_refused(publisher: Publisher, topic: str) -> None:
    with pytest.raises(ValueError, match="not the name of a topic"):
        await publisher.publish(topic, {})
    with pytest.raises(ValueError, match="not the name of a topic"):
        await publisher.send_to_user(f"{topic}:!", {})


async def test_what_has_no_json_is_refused(publisher: Publisher) -> None:
    with pytest.raises(TypeError):
        await publisher.publish("a", object())


@asynccontextmanager
async def publishing(
    settings: TestSettings, url: str, counts: Counts, *, patience: float = 30
) -> AsyncIterator[Publisher]:
    """As a process has it: with a probe that closes the breaker again.

    A cut and an error are told at once, however long `patience`, in seconds, is.
    """
    async with (
        open_redis(settings(f"redis.url={url}", f"redis.timeout={patience}").redis) as redis,
        running(redis_probe(redis)) as probe,
        open_publisher(redis, observer=counts) as publisher,
    ):
        await eventually(lambda: probe.result.ok, within=BACK)
        yield publisher


async def look(url: str, topic: str) -> list[Position]:
    async with Client.from_url(url) as client:
        command = position_command(Channels(url), [topic])
        return positions(await client.execute_command(*command))  # type: ignore[no-untyped-call]


@asynccontextmanager
async def unreachable(server: RedisServer) -> AsyncIterator[tuple[Proxy, str]]:
    """Can be cut for the publisher alone, so that nothing is said before somebody hears it."""
    async with open_proxy(server.host, server.port) as proxy:
        yield proxy, proxy.url(server.url)


@asynccontextmanager
async def frozen(server: RedisServer) -> AsyncIterator[None]:
    process = psutil.Process(server.pid)
    with stalled(server.pid):
        await eventually(lambda: process.status() == psutil.STATUS_STOPPED, within=BACK)
        yield


@pytest.mark.fault
class TestFaults:
    """Redis is stopped, stalled, or answers with errors."""

    async def test_what_a_lost_redis_did_not_take_is_announced_once_it_is_back(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        async with unreachable(own_redis) as (proxy, url), publishing(settings, url, counts) as publisher:
            proxy.cut()
            taken = [await publisher.publish(topic, {}) for topic in ("a", "b", "a")]
            signed_out = await publisher.disconnect("ada", "session:1")
            async with hearing(own_redis.url) as ear:
                proxy.heal()
                await eventually(lambda: len(ear.resyncs()) >= 2 and ear.controls, within=BACK)

        assert [*taken, signed_out] == [False] * 4
        assert sorted(set(ear.resyncs())) == ["a", "b"]
        assert Control((SignOut("ada", "session:1"),)) in ear.controls
        assert counts.outcomes == ["unavailable"] * 4

    async def test_what_a_silent_redis_may_have_taken_is_announced_too(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        async with (
            publishing(settings, own_redis.url, counts, patience=0.05) as publisher,
            hearing(own_redis.url) as ear,
        ):
            async with frozen(own_redis):
                taken = await publisher.publish("a", {})
            await eventually(lambda: "a" in ear.resyncs(), within=BACK)

        assert not taken

    async def test_a_cancelled_push_is_owed(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        async with (
            open_redis(settings(f"redis.url={own_redis.url}", "redis.timeout=30").redis) as redis,
            open_publisher(redis, observer=counts) as publisher,
            hearing(own_redis.url) as ear,
        ):
            async with frozen(own_redis):
                task = asyncio.create_task(publisher.publish("a", {}))
                await asyncio.wait({task}, timeout=0.1)
                task.cancel()
                await asyncio.wait({task})
            await eventually(lambda: "a" in ear.resyncs(), within=BACK)

        assert task.cancelled()

    async def test_an_answer_that_is_an_error_is_as_good_as_none(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        async with publishing(settings, own_redis.url, counts) as publisher, hearing(own_redis.url) as ear:
            async with Client.from_url(own_redis.url) as client:
                await client.set("realtime:state:a", "of somebody else")
                taken = await publisher.publish("a", {})
                await client.delete("realtime:state:a")
            await eventually(lambda: "a" in ear.resyncs(), within=BACK)

        assert not taken

    async def test_a_redis_without_room_is_as_good_as_none_until_it_has_some(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        async with publishing(settings, own_redis.url, counts) as publisher, hearing(own_redis.url) as ear:
            async with Client.from_url(own_redis.url) as client:
                await client.config_set("maxmemory", "1")
                taken = await publisher.publish("a", {})
                await client.config_set("maxmemory", "0")
            await eventually(lambda: "a" in ear.resyncs(), within=BACK)

        assert not taken

    async def test_more_than_can_be_told_apart_is_announced_for_everything(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        async with unreachable(own_redis) as (proxy, url), publishing(settings, url, counts) as publisher:
            [before] = await look(own_redis.url, "a:0")
            proxy.cut()
            for number in range(MOST + 1):
                await publisher.publish(f"a:{number}", {})
                await publisher.disconnect(str(number))
            async with hearing(own_redis.url) as ear:
                proxy.heal()
                await eventually(lambda: len(ear.controls) == 2, within=BACK)

        [after] = await look(own_redis.url, "a:0")
        assert ear.controls == [Control(resync=True), Control(review=True)]
        assert ear.messages == []
        assert after.epoch != before.epoch  # who was away meanwhile sees it, too

    async def test_exactly_as_many_as_can_be_told_apart_are_announced_each(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        async with unreachable(own_redis) as (proxy, url), publishing(settings, url, counts) as publisher:
            proxy.cut()
            for number in range(MOST):
                await publisher.publish(f"a:{number}", {})
            async with hearing(own_redis.url) as ear:
                proxy.heal()
                await eventually(lambda: len(set(ear.resyncs())) == MOST, within=BACK)

        assert ear.controls == []

    async def test_a_process_that_ends_tries_once_more(
        self, settings: TestSettings, own_redis: RedisServer, counts: Counts
    ) -> None:
        with capture_logs() as logs:
            async with hearing(own_redis.url) as ear:
                async with (
                    open_redis(settings(f"redis.url={own_redis.url}", "redis.timeout=30").redis) as redis,
                    open_publisher(redis, observer=counts) as publisher,
                ):
                    redis.is_up = False  # and no probe that would find out: as in a short command of `app`
                    taken = await publisher.publish("a", {})
                await eventually(lambda: ear.resyncs() == ["a"], within=BACK)

        assert not taken
        assert not [entry for entry in logs if entry["event"] == "realtime_owed"]

    async def test_a_process_that_ends_without_redis_logs_what_it_owes_and_does_not_wait_for_long(
        self, settings: TestSettings, counts: Counts
    ) -> None:
        loop = asyncio.get_running_loop()
        with capture_logs() as logs:
            async with (
                open_redis(settings("redis.url=redis://127.0.0.1:1/0").redis) as redis,
                open_publisher(redis, observer=counts) as publisher,
            ):
                for topic in ("a", "b"):
                    await publisher.publish(topic, {})
                await publisher.disconnect("ada")
                began = loop.time()

        assert loop.time() - began < 2 * LAST_TRY
        [owed] = [entry for entry in logs if entry["event"] == "realtime_owed"]
        assert (owed["topics"], owed["sign_outs"]) == (2, 1)

    async def test_nothing_owed_means_nothing_asked_at_the_end(self, settings: TestSettings, counts: Counts) -> None:
        with capture_logs() as logs:
            async with (
                open_redis(settings("redis.url=redis://127.0.0.1:1/0").redis) as redis,
                open_publisher(redis, observer=counts),
            ):
                pass

        assert logs == []
