"""The hub on a real Redis, with sockets on paper: what a listener is told is exact, and nothing is left of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from quart import Quart
from redis import Redis
from structlog.testing import capture_logs

from app.core.callers import Caller
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.feature import Feature
from app.server import create_app
from app.sockets import Hub, Topic, Topics, WrongTopics, anybody, hub, open_hub
from app.sockets.fanout import Fanout
from app.sockets.hub import RECENT
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.sockets.paper import PaperWire, decoded

NEWS = Topics([("test", Topic("news", subscribe=anybody)), ("test", Topic("news:{place}", subscribe=anybody))])


async def allow_all(credentials: Sequence[str], _: Resources) -> Collection[str]:
    return credentials


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings("redis.timeout=5"), Lifecycle()) as opened:
        yield opened


@pytest.fixture
async def opened(resources: Resources) -> AsyncIterator[Hub]:
    async with open_hub(resources, NEWS, allow_all) as opened:
        await eventually(lambda: opened.fanout.connected, within=10)
        yield opened


@asynccontextmanager
async def served(hub: Hub, *messages: str, name: str = "one", caller: Caller | None = None) -> AsyncIterator[PaperWire]:
    """A socket whose client sends these and stays."""
    wire, saying = PaperWire(), iter(messages)

    async def receive() -> str:
        for message in saying:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    serving = asyncio.create_task(hub.serve(wire, receive, id_=name, caller=caller, client="127.0.0.1"))
    try:
        yield wire
    finally:
        serving.cancel()
        await asyncio.wait({serving})


def has_heard(wire: PaperWire, events: int) -> bool:
    return len(seen(wire, "event")) >= events


def seen(wire: PaperWire, *kinds: str) -> list[dict[str, object]]:
    return [frame for frame in decoded(*wire.frames) if frame["type"] in kinds]


async def test_listeners_who_come_in_a_storm_miss_nothing_and_hear_nothing_twice(
    opened: Hub, resources: Resources
) -> None:
    storm = asyncio.create_task(_storm(resources))
    try:
        for number in range(20):
            frames = '{"type":"subscribe","topic":"news"}', '{"type":"unsubscribe","topic":"news"}'
            async with served(opened, frames[0], name=f"c{number}") as wire:
                await eventually(partial(has_heard, wire, 10), within=20)
            subscribed = seen(wire, "subscribed")[-1]
            heard = [frame["seq"] for frame in seen(wire, "event")]

            assert seen(wire, "resync") == []
            assert [heard[0], subscribed["topic"]] == [int(str(subscribed["seq"])) + 1, "news"]
            assert heard == list(range(int(str(heard[0])), int(str(heard[0])) + len(heard)))
    finally:
        storm.cancel()
        await asyncio.wait({storm})
        assert storm.cancelled(), "it went on to the end"


async def _storm(resources: Resources) -> None:
    for number in itertools.count():
        assert await resources.realtime.publish("news", number), "Redis has to be there all the while"


async def test_whoever_leaves_in_the_middle_of_subscribing_leaves_nothing(
    opened: Hub, resources: Resources, redis_url: str
) -> None:
    for number in range(50):
        async with served(opened, '{"type":"subscribe","topic":"news:rome"}', caller=Caller("ada")):
            for _ in range(number % 10):
                await asyncio.sleep(0)

    with Redis.from_url(redis_url) as redis:
        await eventually(lambda: redis.pubsub_numsub(*redis.pubsub_channels("*rome")) == [], within=10)
    assert opened.manager.connection_count() == 0
    assert opened.fanout._wanted == {}
    assert await resources.realtime.publish("news:rome", 1)


async def test_credentials_that_hold_no_more_close_their_sockets(resources: Resources) -> None:
    asked: list[list[str]] = []

    async def reviewer(credentials: Sequence[str], given: Resources) -> Collection[str]:
        assert given is resources
        asked.append(sorted(credentials))
        return {"session:1"}

    async with (
        open_hub(resources, NEWS, reviewer) as hub,
        served(hub, name="a", caller=Caller("ada", credential="session:1")) as stays,
        served(hub, name="b", caller=Caller("bob", credential="session:2")) as goes,
        served(hub, name="c") as guest,
    ):
        await eventually(lambda: hub.manager.connection_count() == 3, within=10)
        hub.review_now()
        await eventually(lambda: not goes.is_open, within=10)

    assert ["session:1", "session:2"] in asked
    assert (goes.close_code, goes.reason) == (1008, "signed out")
    assert stays.is_open
    assert guest.is_open


async def test_a_sign_out_that_comes_before_its_socket_is_not_forgotten(resources: Resources) -> None:
    async def reviewer(credentials: Sequence[str], _: Resources) -> Collection[str]:
        return set(credentials) - {"session:1"}

    async with open_hub(resources, NEWS, reviewer) as hub:
        await eventually(lambda: hub.fanout.connected, within=10)
        hub.disconnect("ada", "session:1")

        async with (
            served(hub, name="a", caller=Caller("ada", credential="session:1")) as late,
            served(hub, name="b", caller=Caller("ada", credential="session:2")) as again,
        ):
            await eventually(lambda: not late.is_open, within=10)

    assert (late.close_code, late.reason) == (1008, "signed out")
    assert again.is_open


async def test_sign_outs_are_remembered_for_a_while(resources: Resources, clock: FakeClock) -> None:
    hub = Hub(replace(resources, clock=clock), NEWS)

    for number in range(100):
        hub.disconnect(f"user-{number}", None)
        clock.advance(1)

    assert len(hub._signed_out) <= RECENT + 1
    assert hub._has_just_signed_out("user-99")
    assert not hub._has_just_signed_out("user-1")
    assert not hub._has_just_signed_out(None)


async def test_what_fails_beside_the_sockets_is_logged_and_begins_anew(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lives = Fanout.run, 0

    async def failing_once(self: Fanout) -> None:
        nonlocal lives
        lives += 1
        if lives == 1:
            raise ZeroDivisionError
        await run(self)

    monkeypatch.setattr(Fanout, "run", failing_once)
    with capture_logs() as lines:
        async with open_hub(resources, NEWS) as opened:
            await eventually(lambda: opened.fanout.connected, within=10)

    failed = [line for line in lines if line["event"] == "realtime_task_failed"]
    assert [line["task"] for line in failed] == ["realtime, fan-out"]
    assert lives == 2


async def test_an_application_that_serves_nobody_has_no_hub() -> None:
    async with Quart("app").app_context():
        with pytest.raises(RuntimeError, match="no open hub"):
            hub()


def test_topics_that_clash_end_the_start_and_name_their_features(settings: TestSettings) -> None:
    features = [Feature(name, topics=(Topic(f"orders:{{{name}}}", subscribe=anybody),)) for name in ("shop", "billing")]

    with pytest.raises(WrongTopics, match="features shop and billing declare"):
        create_app(settings(), features, lifecycle=Lifecycle())


async def test_a_sign_out_here_is_heard_here_also_while_redis_is_away(settings: TestSettings) -> None:
    async with (
        open_resources(settings("redis.url=redis://127.0.0.1:1/0"), Lifecycle()) as away,
        open_hub(away, NEWS, allow_all) as hub,
        served(hub, name="ada", caller=Caller("ada", credential="session:1")) as ada,
        served(hub, name="bob", caller=Caller("bob", credential="session:2")) as bob,
    ):
        await eventually(lambda: hub.manager.connection_count() == 2, within=10)

        taken = await away.realtime.disconnect("ada")

        assert not taken, "Redis was away"
        assert (ada.close_code, bob.close_code) == (1008, None)


async def test_the_first_socket_finds_pushes_arriving(resources: Resources) -> None:
    async with open_hub(resources, NEWS) as hub, served(hub) as wire:
        await eventually(lambda: len(seen(wire, "subscribed")) == 1, within=10)

    assert seen(wire, "subscribed")[0]["epoch"] is not None
    assert seen(wire, "resync") == []


async def test_a_start_does_not_wait_for_a_redis_that_is_away(settings: TestSettings) -> None:
    nowhere = settings("redis.url=redis://127.0.0.1:1/0")
    async with open_resources(nowhere, Lifecycle()) as away, asyncio.timeout(5), open_hub(away, NEWS) as hub:
        assert not hub.fanout.connected
