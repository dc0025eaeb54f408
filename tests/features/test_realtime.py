"""`/ws` as clients meet it, in the real process: every frame, every refusal, and how a socket ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from websockets.exceptions import InvalidStatus

from tests.features.scrape import scrape
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.signed_tokens import bearer, credential
from tests.harness.talking import Frame, Talk, talking
from tests.harness.waiting import eventually

pytestmark = pytest.mark.engines

MODULE = "tests.harness.realtime_routes"
PUSH = "/test/realtime"
PATIENT = "redis.timeout=5"  # so that a busy machine is not taken for a Redis that is gone
NOWHERE = "redis.url=redis://127.0.0.1:1/0"


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await hearing(app_process, "websocket.anonymous=true")


async def hearing(app_process: StartApp, *overrides: str) -> AppProcess:
    """A process that hears what is pushed: a socket that comes before is told a resync later, on a busy machine."""
    app = await app_process(*overrides, PATIENT, module=MODULE)
    await eventually(lambda: app.events("realtime_connected"), within=30)
    return app


@pytest.fixture
async def ada(app: AppProcess) -> AsyncIterator[Talk]:
    async with talking(app, "ada") as talk:
        yield talk


@pytest.fixture
async def guest(app: AppProcess) -> AsyncIterator[Talk]:
    async with talking(app) as talk:
        yield talk


async def push(app: AppProcess, where: str, data: Any) -> None:
    answer = await app.http.post(f"{PUSH}/{where}", json=data)
    assert answer.json() == {"taken": True}


async def state(app: AppProcess) -> dict[str, Any]:
    held: dict[str, Any] = (await app.http.get(PUSH)).json()
    return held


def refusal(code: str, sentence: str, **about: str) -> Frame:
    return {"type": "error", "code": code, "error": sentence, **about}


# What comes without asking.


async def test_a_socket_is_welcomed_and_told_what_it_hears(app: AppProcess, ada: Talk) -> None:
    opened = await eventually(lambda: app.events("websocket_opened"), within=10)

    assert ada.welcome == {
        "type": "welcome",
        "connection_id": opened[0]["connection_id"],
        "user_id": "ada",
        "heartbeat_interval": 30.0,
    }
    assert [(frame["type"], frame["topic"]) for frame in ada.own] == [
        ("subscribed", "everyone"),
        ("subscribed", "user:ada"),
    ]
    assert all(frame["epoch"] and frame["seq"] >= 0 for frame in ada.own)


async def test_whoever_is_nobody_hears_everyone_only(guest: Talk) -> None:
    assert guest.welcome["user_id"] is None
    assert [frame["topic"] for frame in guest.own] == ["everyone"]


async def test_a_broadcast_reaches_everybody(app: AppProcess, ada: Talk, guest: Talk) -> None:
    await push(app, "everyone", {"notice": "Hello"})

    heard = [await ada.next(), await guest.next()]

    seq = ada.own[0]["seq"] + 1
    assert heard == [{"type": "event", "topic": "everyone", "seq": seq, "data": {"notice": "Hello"}}] * 2


async def test_a_user_is_reached_on_every_socket_and_nobody_else_is(app: AppProcess, ada: Talk, guest: Talk) -> None:
    async with talking(app, "ada") as second, talking(app, "bob") as bob:
        await push(app, "users/ada", {"unread": 3})

        heard = [await ada.next(), await second.next()]
        silent = await bob.is_silent(), await guest.is_silent()

    assert heard == [{"type": "event", "topic": "user:ada", "seq": ada.own[1]["seq"] + 1, "data": {"unread": 3}}] * 2
    assert silent == (True, True)


# Topics.


async def test_a_topic_is_heard_from_the_number_that_is_told(app: AppProcess, ada: Talk, guest: Talk) -> None:
    await push(app, "topics/news", "before")
    subscribed = await ada.subscribe("news")

    for number in range(3):
        await push(app, "topics/news", number)
    heard = [await ada.next() for _ in range(3)]

    seq = subscribed["seq"]
    assert seq >= 1
    assert heard == [{"type": "event", "topic": "news", "seq": seq + 1 + each, "data": each} for each in range(3)]
    assert await guest.is_silent()


async def test_subscribing_twice_is_as_once(app: AppProcess, ada: Talk) -> None:
    first, second = await ada.subscribe("news"), await ada.subscribe("news")
    again = await ada.subscribe("user:ada")
    await push(app, "topics/news", 1)

    assert first == second
    assert again == ada.own[1]
    assert (await ada.next())["data"] == 1
    assert await ada.is_silent()


async def test_what_is_unsubscribed_is_heard_no_more(app: AppProcess, ada: Talk, guest: Talk) -> None:
    await ada.subscribe("news")
    await guest.subscribe("news")

    answers = [await ada.answer("unsubscribe", topic=topic) for topic in ("news", "news", "news:rome")]
    await push(app, "topics/news", 1)
    await guest.next()

    assert answers == [{"type": "unsubscribed", "topic": topic} for topic in ("news", "news", "news:rome")]
    assert await ada.is_silent()


async def test_the_last_listener_takes_the_subscription_in_redis_along(ada: Talk, guest: Talk, redis_url: str) -> None:
    database = urlsplit(redis_url).path.strip("/")

    def channels() -> list[str]:
        with Redis.from_url(redis_url) as redis:
            # Channels are those of the whole server, the databases of other tests included.
            return [name.decode() for name in redis.pubsub_channels(f"*:{database}:topic:news:rome")]

    await ada.subscribe("news:rome")
    await guest.subscribe("news:rome")
    both = channels()
    await guest.answer("unsubscribe", topic="news:rome")
    one = channels()
    await ada.answer("unsubscribe", topic="news:rome")

    assert len(both) == len(one) == 1
    await eventually(lambda: not channels(), within=5)


@pytest.mark.parametrize(
    ("topic", "code", "sentence"),
    [
        ("nothing", "NOT_FOUND", "There is no topic of this name."),
        ("orders:bob-1", "FORBIDDEN", "You may not do this with this topic."),
        ("user:bob", "FORBIDDEN", "You may not do this with this topic."),
        ("audit", "FORBIDDEN", "You may not do this with this topic."),
        ("shop", "CONFLICT", "This shop is closed."),
        ("gone", "NOT_FOUND", "There is no such record."),
        ("weather", "SERVICE_UNAVAILABLE", "The weather office does not answer."),
    ],
)
async def test_what_may_not_be_heard_is_refused(ada: Talk, topic: str, code: str, sentence: str) -> None:
    assert await ada.answer("subscribe", topic=topic) == refusal(code, sentence, topic=topic)
    assert await ada.is_silent()


async def test_rules_let_in_whom_they_mean(app: AppProcess, ada: Talk, guest: Talk) -> None:
    async with talking(app, "root", role="admin") as root:
        audit = await root.subscribe("audit")

    assert audit["topic"] == "audit"
    assert (await ada.subscribe("orders:ada-7"))["topic"] == "orders:ada-7"
    assert (await guest.answer("subscribe", topic="chat:tea"))["code"] == "FORBIDDEN"


async def test_a_socket_subscribes_to_so_many_topics(app_process: StartApp) -> None:
    app = await hearing(app_process, "websocket.max_topics=2")
    async with talking(app, "ada") as ada:
        for topic in ("news", "news:rome", "news:rome", "user:ada"):
            await ada.subscribe(topic)

        one_more = await ada.answer("subscribe", topic="news:oslo")
        await ada.answer("unsubscribe", topic="news")
        instead = await ada.answer("subscribe", topic="news:oslo")

    assert (one_more["code"], one_more["topic"]) == ("CONFLICT", "news:oslo")
    assert instead["type"] == "subscribed"


async def test_a_rule_has_the_time_of_a_request(app_process: StartApp) -> None:
    app = await hearing(app_process, "server.request_timeout=3")  # handshakes have to be done in it, too
    async with talking(app, "ada") as ada, talking(app, "bob") as bob:
        refused = await asyncio.gather(
            ada.answer("subscribe", topic="stuck"), bob.answer("subscribe", topic="stuck:60")
        )
        at_once = [await each.subscribe("stuck:0") for each in (ada, bob)]

    assert [frame["code"] for frame in refused] == ["REQUEST_TIMEOUT"] * 2
    assert [frame["topic"] for frame in at_once] == ["stuck:0"] * 2


async def test_what_a_rule_lacks_is_logged(app: AppProcess, ada: Talk) -> None:
    await ada.answer("subscribe", topic="weather")

    (line,) = await eventually(lambda: app.events("message_failed"), within=10)
    assert (line["code"], line["topic"]) == ("SERVICE_UNAVAILABLE", "weather")
    assert line["connection_id"] == ada.welcome["connection_id"]


@pytest.mark.parametrize(("topic", "mistake"), [("mistake", "ZeroDivisionError"), ("impatient", "TimeoutError")])
async def test_a_mistake_in_a_rule_ends_its_socket_alone_and_is_logged(
    app: AppProcess, ada: Talk, guest: Talk, topic: str, mistake: str
) -> None:
    await ada.say("subscribe", topic=topic)

    assert (await ada.ended())[0] == 1011
    (line,) = await eventually(lambda: app.events("websocket_failed"), within=10)
    assert line["connection_id"] == ada.welcome["connection_id"]
    assert mistake in json.dumps(line)
    assert await guest.is_silent()


# Clients that have something to say.


async def test_clients_say_to_a_topic_what_its_rule_allows(app_process: StartApp) -> None:
    first, second = [await hearing(app_process, "websocket.anonymous=true") for _ in range(2)]
    async with talking(first, "ada") as ada, talking(second, "bob") as bob, talking(second) as guest:
        for talk in (ada, bob):
            await talk.subscribe("chat:tea")

        await ada.say("publish", topic="chat:tea", data={"text": "Hello"})
        heard = [await talk.next() for talk in (ada, bob)]
        refused = [
            await bob.answer("publish", topic="chat:tea", data="curse"),
            await guest.answer("publish", topic="chat:tea", data="Hello"),
            await bob.answer("publish", topic="news", data="mine"),
            await bob.answer("publish", topic="everyone", data="mine"),
            await bob.answer("publish", topic="user:bob", data="mine"),
        ]
        unknown = await bob.answer("publish", topic="nothing", data=1)

    assert [(frame["type"], frame["data"]) for frame in heard] == [("event", {"text": "Hello"})] * 2
    assert heard[0]["seq"] == heard[1]["seq"]
    assert {frame["code"] for frame in refused} == {"FORBIDDEN"}
    assert [frame["topic"] for frame in refused] == ["chat:tea", "chat:tea", "news", "everyone", "user:bob"]
    assert unknown["code"] == "NOT_FOUND"


async def test_too_much_data_is_refused(app_process: StartApp) -> None:
    app = await hearing(app_process, "websocket.anonymous=true", "websocket.message_limit=200000")
    async with talking(app) as guest:
        await guest.subscribe("wall")
        most = await guest.answer("publish", topic="wall", data="x" * (65_536 - 2))
        more = await guest.answer("publish", topic="wall", data="x" * (65_536 - 1))

    assert most["type"] == "event"
    assert (more["code"], more["topic"]) == ("PAYLOAD_TOO_LARGE", "wall")


async def test_without_redis_a_socket_opens_and_says_what_it_cannot(app_process: StartApp) -> None:
    app = await app_process(NOWHERE, "websocket.anonymous=true", module=MODULE)
    async with talking(app) as guest:
        subscribed = await guest.subscribe("wall")
        published = await guest.answer("publish", topic="wall", data=1)

        assert guest.own == [{"type": "subscribed", "topic": "everyone", "epoch": None, "seq": None}]
        assert subscribed == {"type": "subscribed", "topic": "wall", "epoch": None, "seq": None}
        assert (published["type"], published["code"]) == ("error", "SERVICE_UNAVAILABLE")
        assert await guest.is_silent()


# What makes no sense.


@pytest.mark.parametrize(
    "message",
    [b"", b'{"type":"ping"}', "", " ", "ping", "[]", "{}", '{"type":"shout"}', '{"type":"ping","x":1}', "[" * 60_000],
    ids=lambda message: repr(message[:20]),
)
async def test_what_makes_no_sense_is_told_and_closes_nothing(
    app: AppProcess, guest: Talk, message: str | bytes
) -> None:
    await guest.socket.send(message)
    told = await guest.next()

    assert (told["type"], told["code"]) == ("error", "BAD_REQUEST")
    assert set(told) == {"type", "code", "error"}
    assert await guest.is_silent()
    assert (await scrape(app)).value("plinth_websocket_messages_refused_total", code="BAD_REQUEST") == 1


async def test_a_malformed_name_is_told_what_names_are(guest: Talk) -> None:
    told = await guest.answer("subscribe", topic="No Topic")

    assert told == refusal("BAD_REQUEST", "The field topic must have the form word[:part]..., such as orders:42.")


# How often, and how fast.


async def test_too_many_messages_are_refused_and_a_flood_is_closed(app_process: StartApp) -> None:
    app = await hearing(app_process, "websocket.anonymous=true", "websocket.message_rate=1")
    async with talking(app) as flood, talking(app) as other:
        for _ in range(40):
            await flood.say("ping")
        heard = [await flood.next() for _ in range(20)]

        ended = await flood.ended()
        assert await other.is_silent()
    seen = await scrape(app)

    kinds = [frame["type"] for frame in heard]
    assert kinds == ["pong"] * kinds.count("pong") + ["error"] * kinds.count("error")
    assert 10 <= kinds.count("pong") <= 15
    assert {frame["code"] for frame in heard if frame["type"] == "error"} == {"RATE_LIMITED"}
    assert ended == (1008, "too many messages")
    assert seen.value("plinth_websocket_dropped_total", reason="flood") == 1


async def test_a_slow_consumer_is_closed_and_the_others_hear_all(app: AppProcess, guest: Talk) -> None:
    data, pushes = "x" * 60_000, 0
    await guest.subscribe("news")
    async with talking(app, "slow") as slow:
        await slow.subscribe("news")
        slow.socket.transport.pause_reading()

        async def is_given_up() -> bool:
            nonlocal pushes
            await push(app, "topics/news", data)
            pushes += 1
            assert (await guest.next())["data"] == data
            return any(line.get("caller") == "slow" for line in app.events("websocket_closed"))

        await eventually(is_given_up, within=60)
        (line,) = [line for line in app.events("websocket_closed") if line.get("caller") == "slow"]
        slow.socket.transport.abort()
    seen = await scrape(app)

    assert line["code"] == 1013
    assert pushes > 4
    assert seen.value("plinth_websocket_dropped_total", reason="slow") == 1
    assert await guest.is_silent()


# Who is there.


async def test_nobody_comes_in_without_credentials_unless_the_settings_say_so(app_process: StartApp) -> None:
    app = await hearing(app_process)

    with pytest.raises(InvalidStatus) as refused:
        async with talking(app):
            pass
    async with talking(app, "ada") as ada:
        assert ada.welcome["user_id"] == "ada"

    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["code"] == "UNAUTHORIZED"


async def test_two_clients_that_name_the_same_id_are_two(app: AppProcess) -> None:
    named = {"X-Request-Id": "given-by-the-client"}
    async with talking(app, headers=named) as first, talking(app, headers=named) as second:
        held = await state(app)
        assert await first.is_silent()
        assert await second.is_silent()

    def lines(talk: Talk) -> list[str]:
        mine = talk.welcome["connection_id"]
        return [line["event"] for line in app.logs if line.get("connection_id") == mine]

    await eventually(lambda: len(app.events("websocket_closed")) == 2, within=10)
    assert first.welcome["connection_id"] == "given-by-the-client"
    assert second.welcome["connection_id"] != "given-by-the-client"
    assert lines(first) == lines(second) == ["websocket_opened", "websocket_closed"]
    assert held["connections"] == 2


async def test_nothing_is_left_of_those_who_leave(app: AppProcess) -> None:
    async with talking(app):
        pass  # the first takes what is made once
    await eventually(lambda: _is_empty(app), within=10)
    before = await state(app)

    async with AsyncExitStack() as open_:
        talks = [await open_.enter_async_context(talking(app, f"user-{number % 5}")) for number in range(20)]
        for talk in talks:
            await talk.subscribe("news")
        crowded = await state(app)
        for talk in talks[::2]:
            talk.socket.transport.abort()
    await eventually(lambda: _is_empty(app), within=10)

    async def has_no_more_tasks() -> bool:
        held = await state(app)
        return int(held["tasks"]) <= int(before["tasks"])

    await eventually(has_no_more_tasks, within=10)
    assert crowded["connections"] == 20
    assert crowded["topics"] == {"everyone": 20, "news": 20, **{f"user:user-{number}": 4 for number in range(5)}}


async def _is_empty(app: AppProcess) -> bool:
    held = await state(app)
    return (held["connections"], held["topics"]) == (0, {})


async def test_signing_out_closes_the_sockets_of_every_instance(app_process: StartApp) -> None:
    first, second = [await hearing(app_process) for _ in range(2)]
    async with (
        talking(first, "ada", session="phone") as phone,
        talking(second, "ada", session="desk") as desk,
        talking(second, "ada", session="phone") as same_phone,
        talking(second, "bob") as bob,
    ):
        await push(first, f"sign-outs/ada?credential={credential('phone')}", None)
        one = [await talk.ended() for talk in (phone, same_phone)]
        assert await desk.is_silent()
        await push(first, "sign-outs/ada", None)
        rest = await desk.ended()
        assert await bob.is_silent()

    assert one == [(1008, "signed out")] * 2
    assert rest == (1008, "signed out")


async def test_a_process_that_stops_says_when_to_come_back(app_process: StartApp) -> None:
    app = await hearing(app_process, "websocket.reconnect_spread=3")
    async with AsyncExitStack() as open_:
        talks = [await open_.enter_async_context(talking(app, f"user-{number}")) for number in range(10)]

        app.terminate()
        told = await asyncio.gather(*(talk.ended() for talk in talks))

    advice = [float(reason.removeprefix("reconnect_after=")) for _, reason in told]
    assert {code for code, _ in told} == {1012}
    assert all(0 <= seconds <= 3 for seconds in advice)
    assert len(set(advice)) > 5
    assert await app.wait(within=20) == 0


async def test_the_numbers_tell_what_went_through(app: AppProcess, ada: Talk, guest: Talk) -> None:
    await ada.subscribe("news")
    await guest.answer("ping")
    await push(app, "everyone", 1)
    await ada.next()
    await guest.next()

    seen = await scrape(app)

    assert seen.value("plinth_websocket_messages_received_total") == 2
    assert seen.value("plinth_websocket_messages_sent_total") == 5 + 2 + 2  # at the start, answers, events
    assert seen.value("plinth_websocket_connections") == 2


async def test_a_refused_handshake_has_the_one_error_body(app: AppProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with talking(app, headers={"Authorization": bearer("ada")["Authorization"] + "x"}):
            pass

    assert refused.value.response.status_code == 401
