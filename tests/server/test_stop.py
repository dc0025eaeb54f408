"""How a real server process ends: nobody is cut off, everything is told, and it is over in time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable
from time import monotonic

import httpx
import pytest
import websockets

from tests.harness.app_process import AppProcess, launch_app
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.server.load import Load

LOOPS = ["asyncio", "uvloop"]

pytestmark = [pytest.mark.parametrize("loop", LOOPS), pytest.mark.engines]


async def _start(app_process: StartApp, loop: str, *overrides: str) -> AppProcess:
    return await app_process(f"server.event_loop={loop}", *overrides)


# Whoever has connected has a second to ask before it is left, which a client that others keep from running may miss.
@pytest.mark.alone
async def test_under_load_no_request_is_cut(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.drain_delay=0.5", "server.shutdown_timeout=10")
    load = Load(app.url, rate=500)
    running = asyncio.create_task(load.run())
    await eventually(lambda: load.outcomes["answered"] >= 300, within=20)

    before = load.outcomes["answered"]
    app.terminate()
    code = await app.wait(within=15)
    load.stop()
    outcomes = await running

    assert code == 0
    assert outcomes["answered"] > before, "the load went on while the server drained"
    assert outcomes["refused"] > 0, "the load outlived the server"
    assert (outcomes["cut"], load.cuts) == (0, [])


async def test_readiness_turns_first_while_requests_are_still_taken(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.drain_delay=1.5")

    app.terminate()
    await eventually(lambda: app.events("drain_started"), within=20)
    ready = await app.http.get("/health/ready")
    live = await app.http.get("/health/live")

    assert ready.status_code == 503
    assert ready.json()["checks"]["draining"] == {"ok": False, "reason": "the process is stopping"}
    assert live.status_code == 200
    assert live.headers["connection"] == "close"
    assert await app.wait(within=20) == 0


async def test_a_running_request_is_answered_within_the_grace(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.shutdown_timeout=10")
    running = await _in_flight(app, app.http.get("/test/slow?seconds=1"))

    app.terminate()
    answer = await running

    assert (answer.status_code, answer.json()) == (200, {"slept": 1.0})
    assert await app.wait(within=20) == 0


async def test_an_overlong_request_is_told_so_and_the_process_ends_in_time(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.shutdown_timeout=0.5")
    running = await _in_flight(app, app.http.get("/test/slow?seconds=30"))

    began = monotonic()
    app.terminate()
    answer = await running
    code = await app.wait(within=20)

    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    assert code == 0
    assert app.events("requests_cut")[0]["count"] == 1
    assert monotonic() - began < 15


async def test_an_open_websocket_gets_1012(app_process: StartApp, loop: str) -> None:
    """Hypercorn by itself waits for ever here on Python 3.12 and later."""
    app = await _start(app_process, loop)
    async with websockets.connect(app.url.replace("http", "ws") + "/test/echo") as client:
        await client.send("hello")
        assert await client.recv() == "hello"

        app.terminate()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), 20)  # noqa: TID251  (no transaction here)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert closed.value.rcvd.reason.startswith("reconnect_after=")
    assert await app.wait(within=20) == 0


async def test_a_client_that_reads_nothing_does_not_hold_the_process(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.shutdown_timeout=1")
    reader, writer = await asyncio.open_connection(*_address(app), limit=1024)
    writer.write(b"GET /test/flood HTTP/1.1\r\nHost: test\r\n\r\n")
    await eventually(lambda: reader._buffer, within=20)  # type: ignore[attr-defined]  # the answer has begun; it is left unread

    app.terminate()
    code = await app.wait(within=20)
    writer.close()

    assert code == 0
    assert app.events("connections_dropped")[0]["count"] == 1


async def test_a_second_signal_ends_at_once_with_130(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.shutdown_timeout=60")
    running = await _in_flight(app, app.http.get("/test/slow?seconds=60"))

    app.terminate()
    await eventually(lambda: app.events("stop_requested"), within=20)
    began = monotonic()
    app.terminate()
    code = await app.wait(within=20)

    assert code == 130
    assert monotonic() - began < 5, "at once, of a grace of 60 s"
    with pytest.raises(httpx.HTTPError):
        await running


async def test_every_step_is_logged_in_order(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop)

    app.signal(signal.SIGINT)
    assert await app.wait(within=20) == 0

    steps = ["starting", "server_listening", "stop_requested", "drain_started", "listener_closing", "drain_finished"]
    steps += ["resource_closed"] * 4 + ["stopped"]
    assert [line["event"] for line in app.logs if line.get("event") in steps] == steps
    assert [line["resource"] for line in app.events("resource_closed")] == ["held", "realtime", "redis", "database"]


async def test_a_signal_during_the_start_gives_up_the_start(settings: TestSettings, loop: str) -> None:
    unreachable = ("database.port=1", "database.start_timeout=60", f"server.event_loop={loop}")
    async with launch_app(settings, *unreachable) as app:
        await eventually(lambda: app.events("database_unreachable"), within=20)

        app.terminate()
        code = await app.wait(within=20)

    assert code == 0
    assert app.events("server_listening") == []


def _address(app: AppProcess) -> tuple[str, int]:
    url = httpx.URL(app.url)
    assert url.port is not None
    return url.host, url.port


async def _in_flight(app: AppProcess, request: Awaitable[httpx.Response]) -> asyncio.Task[httpx.Response]:
    """Start the request, and return once the server is working on it."""
    task = asyncio.ensure_future(request)

    async def working() -> bool:
        return bool((await app.http.get("/test/inside")).json()["requests"] >= 2)

    await eventually(working, within=10)
    return task
