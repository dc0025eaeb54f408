"""How a socket ends: by its handler, by a failure of it, by its peer, or because one of them takes nothing."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import psutil
import pytest

from app.core.errors import ServiceUnavailable
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.at_rest import files_at_rest
from tests.server.raw_socket import CLOSE, HEAD, PING, PONG, TEXT, End, frame, goodbye, raw_socket
from tests.server.stock_frames import stock_server

ROUTES = "tests.server.frame_routes"
LOOPS = ["asyncio", "uvloop"]


async def _inside(app: AppProcess, name: str = "") -> dict[str, Any]:
    answer = await app.http.get("/test/told", params={"name": name})
    inside: dict[str, Any] = answer.json()
    return inside


async def _noted(app: AppProcess, name: str) -> dict[str, Any]:
    noted: dict[str, Any] = (await _inside(app, name))["told"]
    return noted


async def _fail(url: str, how: str) -> End:
    async with raw_socket(url, "/test/fail") as socket:
        socket.send(frame(TEXT, how.encode()))
        return await socket.end()


ENDINGS = {
    "return": (1000, ""),
    "mistake": (1011, ""),
    "exit": (1011, ""),
    "timeout": (1011, ""),
    "astray": (1011, ""),
    "refused": (1008, "Not for you."),
    "unavailable": (1013, ServiceUnavailable().message),
}


@pytest.mark.engines
async def test_a_handler_that_ends_closes_with_what_became_of_it(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    ends = {how: await _fail(app.url, how) for how in ENDINGS}

    assert {how: (end.code, end.reason) for how, end in ends.items()} == ENDINGS
    failed = [line["error"] for line in app.events("websocket_failed")]
    assert failed == ["RuntimeError", "SystemExit", "TimeoutError", "CancelledError", "ServiceUnavailable"]
    assert app.events("panic") == []
    assert (await _inside(app))["handlers"] == 0


async def test_control_on_stock_a_failure_is_closed_as_if_all_were_well() -> None:
    async with stock_server() as stock:
        end = await _fail(stock.url, "mistake")

    assert end.code == 1000


@pytest.mark.engines
async def test_a_handler_that_has_closed_may_go_on(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/goodbye?code=4001") as socket:
        opcode, data = await socket.frame()
        socket.send(goodbye(4001))
        end = await socket.end()

    assert (opcode, data) == (CLOSE, struct.pack("!H", 4001) + b"enough")
    assert end.code is None
    assert not end.reset
    await eventually(lambda: _noted(app, "goodbye"), within=3)


@pytest.mark.engines
async def test_a_peer_that_does_not_answer_a_goodbye_is_dropped(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/goodbye?code=4001") as socket:
        end = await socket.end(within=5)

    assert end.code == 4001
    assert 0.5 < end.seconds < 3


@pytest.mark.engines
async def test_a_goodbye_reaches_a_peer_that_is_still_sending(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/goodbye?code=4001") as socket:
        socket.send(frame(TEXT, b"x" * 1000) * 2000)
        socket.send(goodbye(4001))
        end = await socket.end()

    assert (end.code, end.reset) == (4001, False)


@pytest.mark.engines
@pytest.mark.parametrize("loop", LOOPS)
async def test_a_peer_that_reads_nothing_is_dropped_with_its_handler(app_process: StartApp, loop: str) -> None:
    app = await app_process("websocket.send_timeout=1", f"server.event_loop={loop}", module=ROUTES)
    await eventually(lambda: app.events("realtime_connected"), within=20)
    assert (await _inside(app))["handlers"] == 0  # over a connection that stays open from here on
    before = await files_at_rest(app)

    async with raw_socket(app.url, "/test/push", limit=1024) as socket:
        await eventually(lambda: socket.reader._buffer, within=5)  # type: ignore[attr-defined]
        assert (await _inside(app))["handlers"] == 1
        await eventually(lambda: _is_alone(app), within=5)
        await eventually(lambda: psutil.Process(app.pid).num_fds() <= before, within=5)


@pytest.mark.engines
@pytest.mark.parametrize("loop", LOOPS)
async def test_a_goodbye_does_not_wait_for_a_peer_that_reads_nothing(app_process: StartApp, loop: str) -> None:
    app = await app_process("websocket.send_timeout=60", f"server.event_loop={loop}", module=ROUTES)

    async with raw_socket(app.url, "/test/push", limit=1024) as socket:
        await eventually(lambda: socket.reader._buffer, within=5)  # type: ignore[attr-defined]
        socket.send(goodbye())
        await eventually(lambda: _is_alone(app), within=5)
        await eventually(lambda: _connections(app) == 1, within=5)


async def _is_alone(app: AppProcess) -> bool:
    return bool((await _inside(app))["handlers"] == 0)


def _connections(app: AppProcess) -> int:
    connections = psutil.Process(app.pid).net_connections("tcp")
    return sum(each.status not in {psutil.CONN_LISTEN, psutil.CONN_NONE} for each in connections if _is_ours(app, each))


def _is_ours(app: AppProcess, connection: Any) -> bool:
    return bool(connection.laddr.port == int(app.url.rpartition(":")[2]))


@pytest.mark.engines
@pytest.mark.parametrize("loop", LOOPS)
async def test_half_a_close_is_a_whole_one(app_process: StartApp, loop: str) -> None:
    app = await app_process(f"server.event_loop={loop}", module=ROUTES)

    async with raw_socket(app.url, "/test/told?name=half") as socket:
        socket.send(frame(TEXT, b"hello"))
        assert await socket.text() == "str 5"
        socket.writer.write_eof()
        end = await socket.end()

    assert not end.reset
    assert await _noted(app, "half") == {"end": "cancelled", "code": 1006}


@pytest.mark.alone
@pytest.mark.engines
async def test_the_last_message_before_a_goodbye_is_still_handled(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/busy?name=busy&seconds=0.2") as socket:
        socket.send(frame(TEXT, b"one"), frame(TEXT, b"two"), goodbye())
        end = await socket.end()

    assert end.code == 1000
    await eventually(lambda: _is_alone(app), within=3)
    assert await _noted(app, "busy") == {"handled": ["one", "two"]}


@pytest.mark.engines
async def test_a_handler_that_takes_nothing_loses_its_socket_and_no_ping_is_asked_of_the_peer(
    app_process: StartApp,
) -> None:
    # Were its silence held against the peer, it would be gone within a second.
    app = await app_process(
        "websocket.send_timeout=2",
        "websocket.heartbeat_interval=0.3",
        "websocket.heartbeat_timeout=0.9",
        module=ROUTES,
    )

    async with raw_socket(app.url, "/test/deaf") as socket:
        socket.send(*[frame(TEXT, b"hello")] * 5)
        end = await socket.end()

    assert (end.code, end.reason) == (1013, "messages are not taken")
    assert end.seconds > 1.5
    await eventually(lambda: _is_alone(app), within=3)


@pytest.mark.engines
async def test_an_empty_message_arrives_as_what_it_is(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/told?name=empty") as socket:
        socket.send(frame(2), frame(TEXT), frame(TEXT, fin=False), frame(0, b"abc", fin=False), frame(0))
        answers = [await socket.text() for _ in range(3)]

    assert answers == ["bytes 0", "str 0", "str 3"]


@pytest.mark.engines
async def test_pings_are_answered_while_the_handler_is_busy(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/busy?name=pinged&seconds=30") as socket:
        socket.send(frame(TEXT, b"hello"), frame(PING, b"are you there"))
        async with asyncio.timeout(5):
            answer = await socket.frame()

    assert answer == (PONG, b"are you there")


@pytest.mark.engines
async def test_a_close_code_that_is_none_is_a_mistake_of_the_handler(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/goodbye?code=70000") as socket:
        end = await socket.end()

    assert end.code == 1011


@pytest.mark.engines
async def test_a_client_that_leaves_during_the_handshake_leaves_nothing_behind(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)
    host, port = app.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(HEAD.format(path="/test/late", host="test", extra="").encode())
    await eventually(lambda: _is_handled(app), within=5)

    writer.close()

    await eventually(lambda: _is_alone(app), within=5)


async def _is_handled(app: AppProcess) -> bool:
    return bool((await _inside(app))["handlers"] == 1)


@pytest.mark.engines
async def test_a_subprotocol_that_was_not_offered_is_a_mistake_of_the_handler(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)
    offer = "Sec-WebSocket-Protocol: chat\r\n"

    async with raw_socket(app.url, "/test/subprotocol?name=chat", offer) as socket:
        good = socket.head.lower()
    async with raw_socket(app.url, "/test/subprotocol?name=other", offer) as socket:
        bad = socket.head
        body = await socket.reader.read()

    assert "sec-websocket-protocol: chat\r\n" in good
    assert bad.startswith("HTTP/1.1 500 ")
    assert b'"code":"PANIC"' in body
    await eventually(lambda: _is_alone(app), within=3)


@pytest.mark.engines
async def test_a_close_instead_of_an_accept_is_a_refusal(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    async with raw_socket(app.url, "/test/no") as socket:
        body = await socket.reader.read()

    assert socket.head.startswith("HTTP/1.1 403 ")
    assert b'"code":"FORBIDDEN"' in body
