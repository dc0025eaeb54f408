"""The client of /ws in a real browser, against a server that misbehaves on demand; tests/e2e has the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.features.page_client import COUNT_TIMERS, HASTE, RUN_TIMERS, Client, client_at
from tests.features.speaker import Speaker, speaking
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]
ORDERS = "orders:7"


@pytest.fixture
async def speaker() -> AsyncIterator[Speaker]:
    async with speaking() as speaker:
        yield speaker


@pytest.fixture
async def client(speaker: Speaker, tmp_path: Path) -> AsyncIterator[Client]:
    async with AsyncExitStack() as running:
        yield await running.enter_async_context(client_at(f"{speaker.url}/", tmp_path / "profile"))


async def listens(client: Client, topic: str = ORDERS) -> None:
    """Connected, and subscribed."""
    await client.connect()
    await client.subscribe(topic)
    await eventually(lambda: has_told(client, "ready", topic), within=20)


async def has_told(client: Client, kind: str, *line: object) -> bool:
    return list(line) in await client.told(kind)


async def back_again(client: Client) -> None:
    await client.reaches("connecting", "open", "waiting", "connecting", "open")


async def test_it_connects_subscribes_and_gives_events_to_both_kinds_of_callbacks(
    speaker: Speaker, client: Client
) -> None:
    await listens(client)

    await speaker.push(ORDERS, 1, {"paid": True})
    await speaker.push("everyone", 1, "hello")
    await eventually(lambda: has_told(client, "event", "everyone", "hello", 1), within=10)

    assert await client.told("event") == [[ORDERS, {"paid": True}, 1], ["everyone", "hello", 1]]
    assert await client.told("own event") == [[{"paid": True}, 1]]
    assert (await client.detail("open")) == {"connectionId": "c1", "userId": "ada"}
    assert await client.told("resync") == []
    assert speaker.heard == [[{"type": "subscribe", "topic": ORDERS}]]
    assert client.page.complaints() == []


async def test_it_comes_back_and_resyncs_only_what_has_moved_meanwhile(speaker: Speaker, client: Client) -> None:
    await listens(client)
    await client.subscribe("quiet:1")
    await speaker.push(ORDERS, 1, "seen")
    await eventually(lambda: has_told(client, "event", ORDERS, "seen", 1), within=10)

    speaker.positions[ORDERS] = ("one", 2)
    speaker.cut()
    await back_again(client)
    await eventually(lambda: has_told(client, "own resync", ORDERS), within=10)
    await speaker.push("quiet:1", 1, "still there")
    await eventually(lambda: has_told(client, "own event", "still there", 1), within=10)

    assert await client.told("resync") == [[ORDERS]]
    assert await client.told("own resync") == [[ORDERS]]
    assert await client.told("ready") == [[ORDERS], ["quiet:1"]]
    assert [frame["topic"] for frame in speaker.heard[1]] == [ORDERS, "quiet:1"]


async def test_another_epoch_is_a_loss_even_at_the_same_number(speaker: Speaker, client: Client) -> None:
    await listens(client)

    speaker.positions[ORDERS] = ("two", 0)
    speaker.cut()
    await back_again(client)

    await eventually(lambda: has_told(client, "resync", ORDERS), within=10)
    assert await client.told("resync") == [[ORDERS]]


async def test_topics_that_come_unasked_are_watched_for_losses_too(speaker: Speaker, client: Client) -> None:
    await client.connect()
    await client.reaches("connecting", "open")

    speaker.positions["user:ada"] = ("one", 3)
    speaker.cut()
    await back_again(client)

    await eventually(lambda: has_told(client, "resync", "user:ada"), within=10)
    assert await client.told("resync") == [["user:ada"]]


async def test_a_gap_and_a_resync_frame_are_losses_of_an_open_connection(speaker: Speaker, client: Client) -> None:
    await listens(client)

    await speaker.push(ORDERS, 5, "after a gap")
    await eventually(lambda: has_told(client, "resync", ORDERS), within=10)
    await speaker.push(ORDERS, 6, "the next")
    await speaker.say({"type": "resync", "topic": "everyone", "epoch": "two", "seq": 40})
    await speaker.push("everyone", 41, "the next")
    await eventually(lambda: has_told(client, "event", "everyone", "the next", 41), within=10)
    await eventually(lambda: has_told(client, "resync", "everyone"), within=10)

    assert await client.told("resync") == [[ORDERS], ["everyone"]]
    assert [seq for _, _, seq in await client.told("event")] == [5, 6, 41]


async def test_a_position_that_is_not_known_yet_is_no_loss(speaker: Speaker, client: Client) -> None:
    """Redis is away: a resync follows when it is back."""
    await listens(client)

    speaker.positions[ORDERS] = (None, None)
    speaker.cut()
    await back_again(client)
    await speaker.say({"type": "event", "topic": ORDERS, "seq": 1, "data": "the next"})
    await eventually(lambda: has_told(client, "event", ORDERS, "the next", 1), within=10)

    assert await client.told("resync") == []


async def test_resyncs_are_spread_and_a_loss_outlives_another_disconnection(speaker: Speaker, client: Client) -> None:
    await listens(client)
    await client.run("Math.random = () => 0.999")  # the latest moment of every spread

    await client.run("window.realtime.close()")
    await client.connect("{ resyncSpread: 600_000 }")
    await client.subscribe(ORDERS)
    await eventually(lambda: has_told(client, "ready", ORDERS), within=20)
    await speaker.push(ORDERS, 5, "after a gap")
    await eventually(lambda: has_told(client, "event", ORDERS, "after a gap", 5), within=10)
    told_at_once = await client.told("resync")
    await client.run("Math.random = () => 0")  # and the earliest
    speaker.cut()

    await eventually(lambda: has_told(client, "resync", ORDERS), within=20)
    assert told_at_once == []
    assert await client.told("resync") == [[ORDERS]]


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (1008, "signed out")])
async def test_it_stops_where_the_server_says_so(speaker: Speaker, client: Client, code: int, reason: str) -> None:
    await client.run(COUNT_TIMERS)
    await listens(client)

    await speaker.close(code, reason)

    await client.reaches("connecting", "open", "closed")
    assert await client.detail("closed") == {"code": code, "reason": reason}
    assert await client.run("window.due.size") == 0


@pytest.mark.parametrize("code", [1001, 1009, 1011, 1013])
async def test_it_comes_back_after_every_other_close(speaker: Speaker, client: Client, code: int) -> None:
    await listens(client)

    await speaker.close(code, "")

    await back_again(client)
    assert (await client.detail("waiting"))["code"] == code
    assert await client.told("resync") == []


async def test_it_waits_as_long_as_a_restarting_server_asks(speaker: Speaker, client: Client) -> None:
    await listens(client)

    await speaker.close(1012, "reconnect_after=1.73")

    await client.reaches("connecting", "open", "waiting")
    detail = await client.detail("waiting")
    assert (detail["code"], detail["delay"]) == (1012, 1730)
    await back_again(client)


async def test_waits_grow_to_thirty_seconds(client: Client) -> None:
    """The longest of each is taken; the page's clock runs two hundred times faster."""
    await client.run("Math.random = () => 1")
    await client.run(HASTE % {"times": 200})

    await client.connect('{ url: "http://127.0.0.1:9/ws" }')  # the port of `discard`, where nobody listens

    await eventually(lambda: at_least(8, client), within=30)
    assert (await waits(client))[:8] == [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]


async def test_waits_are_random_parts(client: Client) -> None:
    await client.run("{ let parts = [0.5, 0, 0.25]; Math.random = () => parts.shift() ?? 1; }")

    await client.connect('{ url: "http://127.0.0.1:9/ws" }')

    await eventually(lambda: at_least(3, client), within=30)
    assert (await waits(client))[:3] == [250, 0, 500]


async def test_waits_begin_anew_only_after_a_connection_that_lived(speaker: Speaker, client: Client) -> None:
    await client.run("Math.random = () => 1")
    await client.connect()
    for connections in (1, 2):
        await client.reaches(*["connecting", "open", "waiting"] * (connections - 1), "connecting", "open")
        await speaker.close(1011)
    await client.reaches(*["connecting", "open", "waiting"] * 2, "connecting", "open")

    await client.run("{ const now = performance.now(); performance.now = () => now + 11_000; }")
    await speaker.close(1011)
    await eventually(lambda: at_least(3, client), within=10)

    assert await waits(client) == [500, 1000, 500]


async def waits(client: Client) -> list[float]:
    return [detail["delay"] for state, detail in await client.told("state") if state == "waiting"]


async def at_least(count: int, client: Client) -> bool:
    return len(await waits(client)) >= count


async def test_a_silent_server_is_asked_and_left_when_it_does_not_answer(speaker: Speaker, client: Client) -> None:
    speaker.heartbeat_interval, speaker.answers = 0.05, False
    await client.run(COUNT_TIMERS)
    await listens(client)

    await eventually(lambda: speaker.heard[0][-1] == {"type": "ping"}, within=20)
    await eventually(lambda: is_due_in(client, 10_000), within=20)
    await client.run(RUN_TIMERS)

    await back_again(client)
    assert speaker.heard[0][-1] == {"type": "ping"}
    assert (await client.detail("waiting"))["reason"] == "the server is silent"


async def is_due_in(client: Client, delay: int) -> bool:
    """One timer is set, for so many ms."""
    return bool(await client.run("[...window.due.values()].map((each) => each.delay)") == [delay])


async def test_a_silent_server_that_answers_is_kept(speaker: Speaker, client: Client) -> None:
    speaker.heartbeat_interval = 1.0
    await listens(client)
    await client.run(HASTE % {"times": 5})  # from here on: a browser that has just started takes its time

    await eventually(lambda: speaker.heard[0].count({"type": "ping"}) >= 8, within=30)

    assert await client.states() == ["connecting", "open"]


async def test_each_connection_has_a_ticket_of_its_own(speaker: Speaker, client: Client) -> None:
    await client.run("window.tickets = 0")
    await client.connect("{ ticket: async () => `one use ${++window.tickets}` }")
    await client.reaches("connecting", "open")

    speaker.cut()
    await back_again(client)

    assert speaker.paths == ["/ws?ticket=one+use+1", "/ws?ticket=one+use+2"]


async def test_no_ticket_ends_it_and_one_that_fails_is_tried_again(speaker: Speaker, client: Client) -> None:
    await client.run("window.tickets = 0")
    await client.connect("""{ ticket: async () => {
      if (++window.tickets === 1) throw new Error("the network is away");
      return null;
    } }""")

    await client.reaches("connecting", "waiting", "connecting", "closed")

    assert (await client.detail("waiting"))["reason"] == "Error: the network is away"
    assert await client.detail("closed") == {"code": 1008, "reason": "no ticket"}
    assert speaker.paths == []


async def test_it_publishes_while_open_and_rejects_otherwise(speaker: Speaker, client: Client) -> None:
    attempt = 'window.realtime.publish("chat:1", {text: "hi"}).then(() => "sent", (error) => error.message)'
    await client.connect()

    early = await client.run("window.realtime.close(), " + attempt)
    await client.connect()
    await client.reaches("connecting", "open")
    sent = await client.run(attempt)
    await eventually(lambda: speaker.heard and speaker.heard[-1], within=10)

    assert (early, sent) == ("There is no connection.", "sent")
    assert speaker.heard[-1] == [{"type": "publish", "topic": "chat:1", "data": {"text": "hi"}}]


async def test_it_rejects_more_than_the_connection_takes(speaker: Speaker, client: Client) -> None:
    await client.connect()
    await client.reaches("connecting", "open")

    outcomes = await client.run("""
      Promise.allSettled(["x".repeat(500_000), "one more"].map((text) => window.realtime.publish("chat:1", text)))
        .then((outcomes) => outcomes.map((outcome) => outcome.reason?.message ?? "sent"))
    """)

    await eventually(lambda: speaker.heard[0], within=10)
    assert outcomes == ["sent", "The connection is too slow for what is sent."]
    assert len(speaker.heard[0]) == 1


async def test_what_the_server_refuses_is_told(speaker: Speaker, client: Client) -> None:
    await listens(client)

    await speaker.say({"type": "error", "code": "FORBIDDEN", "error": "You may not do this.", "topic": ORDERS})

    await eventually(lambda: client.told("error"), within=10)
    expected = {"code": "FORBIDDEN", "error": "You may not do this.", "topic": ORDERS}
    assert await client.told("error") == [[expected]]
    assert await client.states() == ["connecting", "open"]


@pytest.mark.parametrize("about", [ORDERS, None])
async def test_a_subscription_that_is_refused_for_the_moment_is_asked_for_again(
    speaker: Speaker, client: Client, about: str | None
) -> None:
    """A refusal of too many messages names no topic."""
    speaker.refuses[ORDERS] = {"type": "error", "code": "RATE_LIMITED", "error": "Slower.", "topic": about}
    await client.connect()
    await client.reaches("connecting", "open")
    await client.run(HASTE % {"times": 20})  # not before: a browser that has just started takes its time
    await client.subscribe(ORDERS)
    await eventually(lambda: client.told("error"), within=20)
    told_before = await client.told("ready")

    speaker.refuses.clear()

    await eventually(lambda: has_told(client, "ready", ORDERS), within=20)
    assert told_before == []
    assert await client.states() == ["connecting", "open"]


async def test_a_subscription_that_is_refused_for_good_is_not_asked_for_again(speaker: Speaker, client: Client) -> None:
    speaker.refuses[ORDERS] = {"type": "error", "code": "FORBIDDEN", "error": "No.", "topic": ORDERS}
    await client.run(COUNT_TIMERS)
    await client.connect()
    await client.subscribe(ORDERS)

    await eventually(lambda: client.told("error"), within=20)

    assert await client.run("window.due.size") == 1, "the watch over the connection"
    assert speaker.heard[0] == [{"type": "subscribe", "topic": ORDERS}]


async def test_a_topic_that_is_left_is_not_asked_for_again(speaker: Speaker, client: Client) -> None:
    await listens(client)
    await client.subscribe(ORDERS)  # a second listener, which leaves first
    await eventually(lambda: has_told_times(client, "ready", 2), within=10)

    await client.run("window.leave(), window.leave()")
    still_asked = list(speaker.heard[0])
    await client.run("window.realtime.subscribe('other:1')()")
    await eventually(lambda: {"type": "unsubscribe", "topic": "other:1"} in speaker.heard[0], within=10)
    speaker.cut()
    await back_again(client)
    await eventually(lambda: speaker.heard[1], within=10)

    assert still_asked == [{"type": "subscribe", "topic": ORDERS}]
    assert speaker.heard[1] == [{"type": "subscribe", "topic": ORDERS}]


async def has_told_times(client: Client, kind: str, times: int) -> bool:
    return len(await client.told(kind)) == times


async def test_it_wakes_when_the_network_is_back(speaker: Speaker, client: Client) -> None:
    await client.run("Math.random = () => 1")
    await listens(client)
    await speaker.close(1012, "reconnect_after=3600")
    await client.reaches("connecting", "open", "waiting")

    await client.run("void dispatchEvent(new Event('online'))")

    await back_again(client)


async def test_a_page_that_is_looked_at_again_asks_for_a_sign_of_life(speaker: Speaker, client: Client) -> None:
    await listens(client)

    await client.run("void document.dispatchEvent(new Event('visibilitychange'))")

    await eventually(lambda: {"type": "ping"} in speaker.heard[0], within=10)
    assert await client.states() == ["connecting", "open"]


@pytest.mark.parametrize("moment", ["open", "waiting", "connecting", "a resync is due", "a refusal"])
async def test_nothing_is_left_after_close(speaker: Speaker, client: Client, moment: str) -> None:
    await client.run(COUNT_TIMERS)
    await client.run("Math.random = () => 1")
    await client.connect("{ resyncSpread: 600_000 }")
    await client.subscribe(ORDERS)
    if moment != "connecting":
        await eventually(lambda: has_told(client, "ready", ORDERS), within=20)
    if moment == "waiting":
        await speaker.close(1012, "reconnect_after=3600")
        await client.reaches("connecting", "open", "waiting")
    if moment == "a resync is due":
        await speaker.push(ORDERS, 9, "after a gap")
        await eventually(lambda: client.told("event"), within=10)
    if moment == "a refusal":
        await speaker.say({"type": "error", "code": "SERVICE_UNAVAILABLE", "error": "Later.", "topic": ORDERS})
        await eventually(lambda: client.told("error"), within=10)
    before = await client.run("window.due.size")

    await client.run("window.realtime.close()")
    await client.run(
        "void dispatchEvent(new Event('online')), void document.dispatchEvent(new Event('visibilitychange'))"
    )

    assert before >= 1
    assert await client.run("window.due.size") == 0
    assert (await client.states())[-1] == "closed"
    assert await client.detail("closed") == {"code": 1000, "reason": "closed by the page"}


async def test_no_listener_of_the_page_is_left_after_close(client: Client) -> None:
    await client.run("""{
      window.signals = [];
      const add = EventTarget.prototype.addEventListener;
      EventTarget.prototype.addEventListener = function (kind, action, options) {
        if (["online", "visibilitychange"].includes(kind)) window.signals.push(options.signal);
        return add.call(this, kind, action, options);
      };
    }""")
    await client.connect()
    await client.reaches("connecting", "open")
    ended = "window.signals.map((signal) => signal.aborted)"
    before = await client.run(ended)

    await client.run("window.realtime.close()")

    assert (before, await client.run(ended)) == ([False, False], [True, True])


async def test_a_ticket_that_comes_after_close_opens_nothing(speaker: Speaker, client: Client) -> None:
    await client.run(COUNT_TIMERS)
    await client.connect("{ ticket: () => new Promise((give) => { window.give = give; }) }")
    await eventually(lambda: client.run("!!window.give"), within=10)

    await client.run("window.realtime.close()")
    await client.run("window.give('too late')")
    await client.run("new Promise((done) => queueMicrotask(done))")

    assert client.page.told("Network.webSocketCreated") == []
    assert speaker.paths == []
    assert await client.run("window.due.size") == 0


async def test_a_page_that_closes_as_it_hears_of_its_return_is_told_no_loss(speaker: Speaker, client: Client) -> None:
    await client.run(COUNT_TIMERS)
    await listens(client)
    await client.run(f"""
      window.leave();
      window.realtime.subscribe("{ORDERS}", {{ event() {{
        window.realtime.subscribe("{ORDERS}", {{ ready: () => window.realtime.close() }});
      }} }});
    """)
    await eventually(lambda: len(speaker.heard[0]) == 3, within=10)

    speaker.positions[ORDERS] = ("one", 9)
    await client.run("queueMicrotask = () => {}")  # the second one is not ready before the return
    await speaker.say({"type": "event", "topic": ORDERS, "seq": 1, "data": "seen"})
    await eventually(lambda: has_told(client, "event", ORDERS, "seen", 1), within=10)
    speaker.cut()

    await client.reaches("connecting", "open", "waiting", "connecting", "open", "closed")
    assert await client.run("window.due.size") == 0
    assert await client.told("resync") == []


async def test_a_callback_that_throws_or_closes_stops_nothing_else(speaker: Speaker, client: Client) -> None:
    await client.run(COUNT_TIMERS)
    await client.connect()
    await client.run(f"""
      window.realtime.subscribe("{ORDERS}", {{ event() {{ throw new Error("a mistake of the page"); }} }});
      window.realtime.subscribe("{ORDERS}", {{ resync() {{}}, ready() {{}}, event: (data) => {{
        if (data === "leave") window.realtime.close();
      }} }});
    """)
    await eventually(lambda: len(speaker.heard) == 1 and speaker.heard[0], within=20)

    await speaker.push(ORDERS, 1, "first")
    await speaker.push(ORDERS, 2, "leave")

    await client.reaches("connecting", "open", "closed")
    assert [seq for _, _, seq in await client.told("event")] == [1, 2]
    assert any("a mistake of the page" in each for each in client.page.complaints())
    assert await client.run("window.due.size") == 0
