"""Redis restarts, falls silent, drops us or is not there: it is noticed in time, announced, and over when it is back.

The stock client's own loop, under the same faults, loses without a word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from redis.asyncio import Redis as Client
from redis.asyncio.client import PubSub
from structlog.testing import capture_logs

from app.core.realtime import Position, Publisher, open_publisher
from app.core.redis import open_redis, redis_probe
from app.core.settings import Settings
from app.embedded import RedisServer
from app.sockets.link import PING_EVERY, PING_TIMEOUT
from tests.core.running import running
from tests.harness.processes import stalled
from tests.harness.proxy import open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.sockets.listening import Recorder, Resync, listening

pytestmark = [pytest.mark.fault, pytest.mark.timeout(60)]  # the stock client may hang for good

WITHIN = 20.0  # seconds; a busy machine
NOTICED = 2.0  # seconds in which a silent Redis is noticed
LOOKING = 0.5  # seconds that a busy machine may add to it


@pytest.fixture
def mine(settings: TestSettings, own_redis: RedisServer) -> Settings:
    return settings(f"redis.url={own_redis.url}")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@asynccontextmanager
async def publishing(settings: Settings) -> AsyncIterator[Publisher]:
    async with (
        open_redis(settings.redis) as redis,
        running(redis_probe(redis)) as probe,
        open_publisher(redis) as publisher,
    ):
        await eventually(lambda: probe.result.ok, within=WITHIN)
        yield publisher


@asynccontextmanager
async def frozen(server: RedisServer) -> AsyncIterator[None]:
    process = psutil.Process(server.pid)
    with stalled(server.pid):
        await eventually(lambda: process.status() == psutil.STATUS_STOPPED, within=WITHIN)
        yield


async def test_a_restart_is_announced_on_every_topic_and_followed_by_a_review(
    mine: Settings, own_redis: RedisServer, recorder: Recorder
) -> None:
    topics = [f"t:{number}" for number in range(250)]
    async with listening(mine.redis, recorder) as fanout:
        before = {topic: await fanout.want(topic) for topic in topics}
        reviews = recorder.reviews
        await own_redis.restart()
        await eventually(lambda: len(recorder.told) == len(topics), within=WITHIN)
        await eventually(lambda: recorder.reviews == reviews + 1, within=WITHIN)

    after = {each.topic: each.position for each in recorder.told if isinstance(each, Resync)}
    assert set(after) == set(topics)
    assert all(after[topic] != before[topic] for topic in topics)
    assert recorder.connections == [False, True, False, True, False]


async def test_others_are_told_as_soon_as_redis_answers_again(
    mine: Settings, own_redis: RedisServer, recorder: Recorder
) -> None:
    """So that the breaker lets pushes through before its probe's next turn."""
    slow = mine.redis.__class__(url=mine.redis.url, timeout=30, pool_max=5, health_interval=300)
    async with open_redis(slow) as redis:
        probe = redis_probe(redis)
        async with listening(slow, recorder, on_connected=probe.check_once), open_publisher(redis) as publisher:
            await own_redis.stop()
            assert not await publisher.publish("a", {})
            assert not redis.is_up
            await own_redis.start()
            await eventually(lambda: redis.is_up, within=WITHIN)

            assert await publisher.publish("a", {})


async def test_others_are_told_before_anybody_is_told_to_fetch_anew(
    mine: Settings, own_redis: RedisServer, recorder: Recorder
) -> None:
    """Whoever fetches anew may need Redis, too."""
    told_before: list[int] = []

    async def tell_others() -> None:
        told_before.append(len(recorder.announced("a")))

    async with listening(mine.redis, recorder, on_connected=tell_others) as fanout:
        await fanout.want("a")
        await own_redis.restart()
        await eventually(lambda: recorder.announced("a"), within=WITHIN)

    assert told_before == [0, 0]


@pytest.mark.alone
@pytest.mark.parametrize("how", ["stopped process", "swallowing network"])
async def test_a_silent_redis_is_noticed_within_two_seconds_and_its_return_too(
    settings: TestSettings, own_redis: RedisServer, recorder: Recorder, how: str
) -> None:
    async with open_proxy(own_redis.host, own_redis.port) as proxy:
        mine = settings(f"redis.url={proxy.url(own_redis.url)}")
        async with listening(mine.redis, recorder) as fanout:
            await fanout.want("a")
            began = time.monotonic()
            if how == "stopped process":
                async with frozen(own_redis):
                    await eventually(lambda: not fanout.connected, within=WITHIN)
                    noticed = time.monotonic() - began
            else:
                proxy.stall()
                await eventually(lambda: not fanout.connected, within=WITHIN)
                noticed = time.monotonic() - began
                proxy.heal()
            back = time.monotonic()
            await eventually(lambda: recorder.announced("a"), within=WITHIN)
            resumed = time.monotonic() - back

    assert noticed < NOTICED + LOOKING
    assert resumed < NOTICED
    assert PING_EVERY + PING_TIMEOUT < NOTICED


async def test_the_stock_loop_never_notices_a_silent_redis(own_redis: RedisServer) -> None:
    errors = []
    async with Client.from_url(own_redis.url, health_check_interval=1) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("a")

        async def listen() -> None:
            while True:
                try:
                    await pubsub.get_message(timeout=0.2)
                except Exception as error:  # noqa: BLE001  (whatever it would notice)
                    errors.append(error)
                    return

        task = asyncio.create_task(listen())
        async with frozen(own_redis):
            await asyncio.wait({task}, timeout=2 * NOTICED)
            noticed = list(errors)
        await ended(task)

    assert noticed == []


async def test_a_listener_does_not_wait_for_a_silent_redis_and_is_told_later(
    mine: Settings, own_redis: RedisServer, recorder: Recorder
) -> None:
    async with listening(mine.redis, recorder) as fanout:
        async with frozen(own_redis):
            began = time.monotonic()
            first = await fanout.want("a")
            waited = time.monotonic() - began
            second = await fanout.want("b")
        await eventually(lambda: recorder.announced("a") and recorder.announced("b"), within=WITHIN)

    assert first is second is None
    assert waited < NOTICED


async def test_a_listener_that_comes_before_redis_does_is_told_later(
    mine: Settings, own_redis: RedisServer, recorder: Recorder
) -> None:
    await own_redis.stop()
    async with listening(mine.redis, recorder, connect=False) as fanout:
        position = await fanout.want("a")
        await own_redis.start()
        await eventually(lambda: recorder.announced("a"), within=WITHIN)
        known = await fanout.want("a")

    assert position is None
    assert known == recorder.announced("a")[-1].position


async def test_those_who_come_and_go_while_redis_is_away_leave_nothing_behind(
    mine: Settings, own_redis: RedisServer, recorder: Recorder
) -> None:
    async with listening(mine.redis, recorder) as fanout:
        await fanout.want("kept")
        await own_redis.stop()
        await eventually(lambda: not fanout.connected, within=WITHIN)
        for number in range(1000):
            await fanout.want(f"t:{number}")
            fanout.drop(f"t:{number}")
        remembered = len(fanout._changed)
        await own_redis.start()
        await eventually(lambda: recorder.announced("kept"), within=WITHIN)

    assert remembered <= 1
    assert {each.topic for each in recorder.told} == {"kept"}


async def test_a_loop_that_stood_still_does_not_blame_redis(mine: Settings, recorder: Recorder) -> None:
    async with publishing(mine) as publisher, listening(mine.redis, recorder) as fanout:
        await fanout.want("a")
        for _ in range(4):
            time.sleep(1.5 * PING_TIMEOUT)  # noqa: ASYNC251  (the fault)
            await asyncio.sleep(PING_EVERY / 3)
        await publisher.publish("a", {})
        await eventually(lambda: recorder.events("a") or recorder.announced("a"), within=WITHIN)

        assert recorder.connections == [False, True]


class Slow(Recorder):
    """Holds up what is read from Redis, which a hub never does."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def deliver(self, topic: str, position: Position, data: bytes) -> int:
        await self.let_go.wait()
        return await super().deliver(topic, position, data)


def cut_off(server: RedisServer) -> int:
    """How often this Redis has dropped a client that took too little, by its own log."""
    return server.log_path.read_text().count("output buffer limits")


@asynccontextmanager
async def little_patience(server: RedisServer) -> AsyncIterator[Client]:
    async with Client.from_url(server.url) as client:
        await client.config_set("client-output-buffer-limit", "pubsub 1mb 1mb 0")
        try:
            yield client
        finally:
            await client.config_set("client-output-buffer-limit", "pubsub 32mb 8mb 60")


async def test_being_dropped_for_slowness_is_announced(settings: TestSettings, own_redis: RedisServer) -> None:
    slow, before = Slow(), cut_off(own_redis)
    mine = settings(f"redis.url={own_redis.url}", "redis.timeout=30")
    async with little_patience(own_redis), publishing(mine) as publisher, listening(mine.redis, slow) as fanout:
        await fanout.want("a")
        pushed = 0
        while cut_off(own_redis) == before:
            assert await publisher.publish("a", "x" * 60_000)
            pushed += 1
        slow.let_go.set()
        await eventually(lambda: slow.announced("a"), within=WITHIN)

        assert len(slow.events("a")) < pushed
        assert isinstance(slow.told[-1], Resync)


def stock(server: RedisServer) -> Client:
    """A client as its documentation makes one: it tries again by itself, without a word."""
    return Client(host=server.host, port=server.port, password=server.password)


class StockListener:
    """The loop of its documentation, around a pubsub that subscribes to `a`."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub
        self.got: list[int] = []
        self.errors: list[Exception] = []
        self.pause = 0.0
        self.free = asyncio.Event()  # set while it may go on to the next message
        self.free.set()

    async def run(self) -> None:
        while True:
            try:
                message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)
            except Exception as error:  # noqa: BLE001  (whatever it would notice)
                self.errors.append(error)
                return
            if message:
                self.got.append(int(message["data"][:8]))
                await asyncio.sleep(self.pause)
                await self.free.wait()


@asynccontextmanager
async def stock_listening(server: RedisServer) -> AsyncIterator[StockListener]:
    async with stock(server) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("a")
        listener = StockListener(pubsub)
        task = asyncio.create_task(listener.run())
        try:
            yield listener
        finally:
            await ended(task)


async def ended(task: asyncio.Task[None]) -> None:
    """Before Python 3.12 the stock client loses a cancellation now and then."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


async def test_the_stock_loop_is_dropped_for_slowness_and_does_not_know(own_redis: RedisServer) -> None:
    before, pushed = cut_off(own_redis), 0
    async with little_patience(own_redis) as client, stock_listening(own_redis) as listener:
        listener.pause = 1.0
        while cut_off(own_redis) == before:
            pushed += await client.publish("a", f"{pushed:08}".ljust(60_000))
        listener.pause = 0.0

        async def heard_again() -> bool:
            return bool(await client.publish("a", b"99999999")) and 99999999 in listener.got

        await eventually(heard_again, within=WITHIN)

    assert listener.errors == []
    assert len(set(listener.got) - {99999999}) < pushed


async def test_the_stock_loop_loses_silently_when_redis_restarts(own_redis: RedisServer) -> None:
    """What tests/server/test_two_instances.py shows of ours: here nobody is told."""
    async with stock_listening(own_redis) as listener:
        listener.free.clear()
        await push(own_redis, 1)
        await eventually(lambda: listener.got == [1], within=WITHIN)
        await own_redis.restart()
        await push(own_redis, 2)
        listener.free.set()

        async def heard_again() -> bool:
            await push(own_redis, 3)
            return 3 in listener.got

        await eventually(heard_again, within=WITHIN)

    assert set(listener.got) == {1, 3}
    assert listener.errors == []


async def push(server: RedisServer, number: int) -> None:
    async with stock(server) as writer:
        await writer.publish("a", f"{number:08}")


async def test_a_lasting_fault_is_logged_once(settings: TestSettings, own_redis: RedisServer) -> None:
    wrong = own_redis.url.replace(own_redis.password, "very-wrong-secret")
    recorder = Recorder()
    with capture_logs() as logs:
        async with listening(settings(f"redis.url={wrong}").redis, recorder, connect=False) as fanout:
            async with Client.from_url(own_redis.url) as client:

                async def tried() -> bool:
                    info = await client.info("stats")
                    return bool(info["total_connections_received"] > before + 5)

                before = (await client.info("stats"))["total_connections_received"]
                await eventually(tried, within=WITHIN)
            assert not fanout.connected

    lost = [entry for entry in logs if entry["event"] == "realtime_disconnected"]
    assert len(lost) == 1
    assert "very-wrong-secret" not in str(logs)
    assert recorder.connections == [False]
