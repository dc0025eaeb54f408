"""The client of /ws in a real browser against real processes that restart, die, freeze and send people away."""

from __future__ import annotations

import json
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.embedded import RedisServer
from tests.features.page_client import HASTE, Client, client_at
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
ANYBODY = "websocket.anonymous=true"
ROOM, QUIET = "room:7", "room:quiet"
# A timer of the page's own, set right after the client's and for as long: on a busy machine both are late.
ALARMED = """{
  onState(state, detail) {
    window.moments.push(performance.now());
    tell("state")(state, detail);
    if (state === "waiting") setTimeout(tell("alarm"), detail.delay);
  },
}"""


@pytest.fixture
def start(app_process: StartApp) -> StartApp:
    """Real processes with topics, which share a Redis."""
    return partial(app_process, "redis.timeout=5", module="tests.e2e.pushing")


async def push(app: AppProcess, topic: str, data: Any) -> None:
    answer = await app.http.post(f"/test/push/{topic}", json=data)
    assert answer.json() == {"taken": True}


async def has_told(client: Client, *line: Any) -> bool:
    return list(line) in await client.told()


async def listens(client: Client, options: str = "{}") -> None:
    await client.connect(options)
    for topic in (ROOM, QUIET):
        await client.subscribe(topic)
        await eventually(partial(has_told, client, "ready", topic), within=20)


@pytest.fixture
def same_port(own_port: int) -> str:
    """For a process and the one that comes in its place."""
    return f"server.port={own_port}"


async def test_what_any_process_pushes_arrives_under_a_strict_policy(start: StartApp, tmp_path: Path) -> None:
    app, other = await start(ANYBODY), await start()

    async with client_at(f"{app.url}/docs", tmp_path / "profile") as client:
        await listens(client)
        await push(app, "everyone", {"text": "<b>hello</b>"})
        await push(other, ROOM, ["from", "elsewhere"])
        await eventually(partial(has_told, client, "event", ROOM, ["from", "elsewhere"], 1), within=10)
        told, complaints = await client.told(), client.page.complaints()

    policy = (await app.http.get("/docs")).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src" not in policy
    assert ["event", "everyone", {"text": "<b>hello</b>"}, 1] in told
    assert [line for line in told if line[0] in {"resync", "error"}] == []
    assert complaints == []


async def test_a_restart_is_waited_for_as_advised_and_only_what_was_missed_is_loaded_again(
    start: StartApp, same_port: str, tmp_path: Path
) -> None:
    app, other = await start(ANYBODY, same_port, "websocket.reconnect_spread=3"), await start()

    async with client_at(f"{app.url}/docs", tmp_path / "profile") as client:
        await listens(client, ALARMED)
        await push(app, ROOM, "before")
        await eventually(partial(has_told, client, "event", ROOM, "before", 1), within=10)
        app.terminate()
        await client.reaches("connecting", "open", "waiting")
        # The first: it may have been advised to come back at once, and be waiting again.
        detail = await client.detail("waiting", time=0)
        await push(other, ROOM, "meanwhile")
        await client.reaches("connecting", "open", "waiting", "connecting")
        waited = await client.moment(3) - await client.moment(2)
        assert await app.wait(within=20) == 0
        await start(ANYBODY, same_port)
        await eventually(partial(has_told, client, "own resync", ROOM), within=60)
        # What is pushed before that is missed, and told as a loss: the quiet room follows the other one.
        await eventually(partial(is_subscribed, client), within=10)
        await push(other, QUIET, "after")
        await eventually(partial(has_told, client, "event", QUIET, "after", 1), within=10)
        told = await client.told()

    advised = re.fullmatch(r"reconnect_after=(\d+\.\d\d)", detail["reason"])
    assert advised, detail
    assert detail["code"] == 1012
    assert detail["delay"] == pytest.approx(float(advised[1]) * 1000)
    assert detail["delay"] <= 3000
    assert detail["delay"] / 1000 - 0.05 <= waited, "a busy machine is late, never early"
    steps = [line[1] if line[0] == "state" else line[0] for line in told]
    assert steps.index("connecting", 1) < steps.index("alarm"), "and no later than any timer"
    assert [line for line in told if line[0] == "resync"] == [["resync", ROOM]]


async def test_a_process_that_is_killed_is_come_back_to(start: StartApp, same_port: str, tmp_path: Path) -> None:
    app, other = await start(ANYBODY, same_port), await start()

    async with client_at(f"{app.url}/docs", tmp_path / "profile") as client:
        await listens(client)
        app.kill()
        await client.reaches("connecting", "open", "waiting")
        detail = await client.detail("waiting")
        await push(other, ROOM, "meanwhile")
        await app.wait(within=10)
        await start(ANYBODY, same_port)
        await eventually(partial(has_told, client, "own resync", ROOM), within=60)
        await eventually(partial(is_subscribed, client), within=10)
        delays = [detail["delay"] for state, detail in await client.told("state") if state == "waiting"]
        resyncs = await client.told("resync")

    assert detail["code"] == 1006
    assert all(delay <= 500 * 2**failures for failures, delay in enumerate(delays)), delays
    assert resyncs == [[ROOM]]


async def test_nothing_is_loaded_again_where_nothing_was_missed(
    start: StartApp, same_port: str, tmp_path: Path
) -> None:
    app, other = await start(ANYBODY, same_port), await start()

    async with client_at(f"{app.url}/docs", tmp_path / "profile") as client:
        await listens(client)
        await push(app, ROOM, "before")
        await eventually(partial(has_told, client, "event", ROOM, "before", 1), within=10)
        app.kill()
        await client.reaches("connecting", "open", "waiting")
        await app.wait(within=10)
        await start(ANYBODY, same_port)
        await eventually(partial(opened_times, client, 2), within=60)
        # What is pushed before that is missed, and told as a loss.
        await eventually(partial(is_subscribed, client), within=10)
        await push(other, ROOM, "after")
        await eventually(partial(has_told, client, "event", ROOM, "after", 2), within=10)
        told = await client.told()

    assert [line for line in told if line[0] in {"resync", "own resync"}] == []


async def opened_times(client: Client, times: int) -> bool:
    return (await client.states()).count("open") == times


async def is_subscribed(client: Client) -> bool:
    """Every topic has been confirmed twice: what the browser has received says so."""
    frames = [
        json.loads(each["response"]["payloadData"]) for each in client.page.told("Network.webSocketFrameReceived")
    ]
    confirmed = [frame["topic"] for frame in frames if frame["type"] == "subscribed"]
    return all(confirmed.count(topic) == 2 for topic in (ROOM, QUIET))


async def test_a_process_that_freezes_is_noticed_and_come_back_to(start: StartApp, tmp_path: Path) -> None:
    """The page's clock runs ten times faster: an answer has a second, and a silence of 0.4 s is long."""
    app = await start(ANYBODY, "websocket.heartbeat_interval=2")

    async with client_at(f"{app.url}/docs", tmp_path / "profile") as client:
        await listens(client)
        await client.run(HASTE % {"times": 10})  # from the next timer on: coming in took the time that it needed
        app.signal(signal.SIGSTOP)
        await eventually(lambda: psutil.Process(app.pid).status() == psutil.STATUS_STOPPED, within=5)
        await client.reaches("connecting", "open", "waiting")
        detail = await client.detail("waiting", time=0)
        app.signal(signal.SIGCONT)
        await eventually(partial(opened_times, client, 2), within=60)

    assert detail["reason"] == "the server is silent"


async def test_whoever_is_signed_out_stays_away(start: StartApp, tmp_path: Path) -> None:
    app, other = await start(), await start()
    tickets = f"""{{ ticket: async () => (await (await fetch("/api/v1/realtime/tickets", {{
      method: "POST", headers: {json.dumps(bearer("ada"))},
    }})).json()).ticket }}"""

    async with client_at(f"{app.url}/docs", tmp_path / "profile") as client:
        await listens(client, tickets)
        answer = await other.http.delete("/test/push/users/ada")
        await client.reaches("connecting", "open", "closed")
        opened, closed = await client.detail("open"), await client.detail("closed")
        made = len(client.page.told("Network.webSocketCreated"))

    assert answer.json() == {"taken": True}
    assert opened["userId"] == "ada"
    assert closed == {"code": 1008, "reason": "signed out"}
    assert made == 1


@pytest.mark.fault
async def test_a_redis_that_restarts_is_told_as_a_loss_of_every_topic(
    start: StartApp, own_settings: TestSettings, own_redis: RedisServer, tmp_path: Path
) -> None:
    app = await start(ANYBODY, settings=own_settings)

    async with client_at(f"{app.url}/docs", tmp_path / "profile") as client:
        await listens(client)
        before = own_redis.pid
        await own_redis.restart()
        restarted = own_redis.pid != before
        for topic in ("everyone", ROOM, QUIET):
            await eventually(partial(has_told, client, "resync", topic), within=20)
        answer = await app.http.post(f"/test/push/{ROOM}", json="after")
        await eventually(partial(arrived, client, "after"), within=10)
        told, states = await client.told("resync"), await client.states()

    assert restarted
    assert answer.json() == {"taken": True}
    assert {topic for (topic,) in told} == {"everyone", QUIET, ROOM}
    assert states == ["connecting", "open"]


async def arrived(client: Client, data: Any) -> bool:
    return any(line[1] == data for line in await client.told("event"))
