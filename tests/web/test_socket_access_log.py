"""Two lines for each socket, one for each refusal, and a number beside each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.core.lifecycle import Phase
from app.core.metrics import Metrics
from app.web import Application
from app.web.access import AccessLog
from app.web.exchange import KEY, Exchange
from tests.features.scrape import scrape
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer, sign
from tests.harness.waiting import eventually
from tests.web import socket_routes
from tests.web.conftest import Serving
from tests.web.handshakes import Header, answer_to, handshake, place_of, send_handshake
from tests.web.opened import opened

ADA = bearer("ada")
CANARY = "canary-of-the-query"

Line = MutableMapping[str, Any]


@dataclass
class Watched:
    """An application that serves, and what it has logged."""

    app: Application
    client: httpx.AsyncClient
    logs: list[Line]
    place: tuple[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.place = place_of(self.client)

    def url(self, path: str) -> str:
        return f"ws://{self.place[0]}:{self.place[1]}{path}"

    async def line(self, event: str) -> Line:
        """The one line of this name, without what is the same for all."""
        (found,) = await eventually(lambda: [line for line in self.logs if line["event"] == event], within=10)
        assert found["log_level"] == "info"
        assert found["client"] == "127.0.0.1"
        return {name: value for name, value in found.items() if name not in {"event", "log_level", "client"}}


@asynccontextmanager
async def watched(settings: TestSettings, serving: Serving, *overrides: str) -> AsyncIterator[Watched]:
    with capture_logs() as logs:
        async with opened(settings(*overrides), socket_routes.feature) as app, serving(app) as client:
            yield Watched(app, client, logs)


@pytest.mark.engines
async def test_a_socket_is_two_lines(settings: TestSettings, serving: Serving) -> None:
    async with watched(settings, serving) as it:
        url = it.url(f"/sockets/socket?page={CANARY}")
        async with connect(url, proxy=None, additional_headers=ADA) as socket:
            opened_line = await it.line("websocket_opened")
            await socket.recv()  # the greeting
            assert not [line for line in it.logs if line["event"] == "websocket_closed"]
            for word in ("one", "two", "three"):
                await socket.send(word)
                await socket.recv()
        closed = await it.line("websocket_closed")

    assert opened_line == {"route": "/sockets/socket", "caller": "ada"}
    assert 0 <= closed.pop("seconds") < 10
    # The greeting is one of those sent, and a close frame none.
    assert closed == {"route": "/sockets/socket", "caller": "ada", "code": 1000, "received": 3, "sent": 4}
    assert CANARY not in str(it.logs)
    assert sign("ada") not in str(it.logs)


@pytest.mark.engines
@pytest.mark.parametrize(
    ("path", "code"),
    [("leaves", 1000), ("fails", 1011), ("public", 4321)],
    ids=["the handler", "a failure", "a client"],
)
async def test_it_says_who_ended_a_socket_and_how(
    settings: TestSettings, serving: Serving, path: str, code: int
) -> None:
    async with watched(settings, serving) as it:
        async with connect(it.url(f"/sockets/{path}"), proxy=None) as socket:
            if path == "public":
                await socket.close(code)
            else:
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
        closed = await it.line("websocket_closed")

    assert closed["code"] == code


@pytest.mark.engines
async def test_a_connection_that_just_ends_is_1006(settings: TestSettings, serving: Serving) -> None:
    async with watched(settings, serving) as it:
        async with handshake(it.place, "/sockets/public"):
            pass  # dropped without a word
        closed = await it.line("websocket_closed")

    assert (closed["code"], closed["received"], "caller" in closed) == (1006, 0, False)


REFUSALS: dict[str, tuple[str, list[Header], dict[str, Any]]] = {
    "nobody": ("socket", [], {"status": 401, "code": "UNAUTHORIZED", "reason": "unauthorized"}),
    "the wrong role": ("admin", [*ADA.items()], {"status": 403, "code": "FORBIDDEN", "reason": "forbidden"}),
    "a foreign page": (
        "socket",
        [("Origin", "https://evil.example")],
        {"status": 403, "code": "FORBIDDEN", "reason": "origin"},
    ),
    "a handler that declines": (
        "declines/ada",
        [],
        {"status": 404, "code": "NOT_FOUND", "reason": "not_found"},
    ),
    "a handler that closes": ("closes-at-once", [], {"status": 403, "code": "FORBIDDEN", "reason": "forbidden"}),
    "a handler that returns": ("returns-at-once", [], {"status": 500, "code": "PANIC", "reason": "panic"}),
    "a handler that fails": (
        "fails-at-once",
        [],
        {"status": 500, "code": "PANIC", "reason": "panic"},
    ),
}
TEMPLATES = {"declines/ada": "/sockets/declines/<name>"}


@pytest.mark.engines
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_one_line(settings: TestSettings, serving: Serving, name: str) -> None:
    path, headers, expected = REFUSALS[name]
    async with watched(settings, serving) as it:
        answer = await answer_to(it.place, f"/sockets/{path}?page={CANARY}", *headers)
        line = await it.line("websocket_refused")
        line.pop("caller", None)

    assert (answer.status, answer.code) == (expected["status"], expected["code"])
    assert line == {"route": TEMPLATES.get(path, f"/sockets/{path}"), **expected}
    assert not [line for line in it.logs if line["event"] in {"websocket_opened", "websocket_closed", "request"}]
    assert CANARY not in str(it.logs)


@pytest.mark.engines
@pytest.mark.parametrize(
    ("override", "reason", "status"),
    [
        ("websocket.max_connections=1", "process", 503),
        ("websocket.max_per_address=1", "address", 429),
        ("websocket.max_per_user=1", "user", 429),
    ],
)
async def test_each_limit_has_a_reason_of_its_own(
    settings: TestSettings, serving: Serving, override: str, reason: str, status: int
) -> None:
    async with watched(settings, serving, override) as it, handshake(it.place, "/sockets/socket", *ADA.items()):
        await answer_to(it.place, "/sockets/socket", *ADA.items())
        line = await it.line("websocket_refused")

    assert (line["reason"], line["status"]) == (reason, status)


@pytest.mark.engines
async def test_a_process_that_stops_says_so(settings: TestSettings, serving: Serving) -> None:
    async with watched(settings, serving) as it:
        it.app.lifecycle.phase = Phase.DRAINING
        await answer_to(it.place, "/sockets/socket", *ADA.items())
        line = await it.line("websocket_refused")

    assert (line["status"], line["code"], line["reason"]) == (503, "SERVICE_UNAVAILABLE", "draining")


@pytest.mark.engines
async def test_an_unknown_address_is_logged_without_its_query(settings: TestSettings, serving: Serving) -> None:
    async with watched(settings, serving) as it:
        await answer_to(it.place, f"/nowhere%0a?ticket={CANARY}")
        line = await it.line("websocket_refused")

    assert line == {"route": None, "path": "/nowhere%0a", "status": 400, "code": "BAD_REQUEST", "reason": "bad_request"}
    assert CANARY not in str(it.logs)


@pytest.mark.engines
async def test_a_client_that_leaves_before_its_answer_is_told_apart(settings: TestSettings, serving: Serving) -> None:
    asked = asyncio.Event()

    async def forever(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with watched(settings, serving) as it:
        it.app.admission.gate = forever  # type: ignore[union-attr]  # the real one, which asks nobody here
        _, writer = await send_handshake(it.place, "/sockets/socket")
        await asked.wait()
        writer.transport.abort()
        line = await it.line("websocket_refused")

    assert (line["status"], line["reason"]) == (None, "disconnected")


@pytest.mark.engines
async def test_they_are_counted(app_process: StartApp) -> None:
    app = await app_process("websocket.max_per_address=2", module="tests.web.socket_routes")
    place = (httpx.URL(app.url).host, httpx.URL(app.url).port or 0)
    url = app.url.replace("http", "ws")

    async with connect(f"{url}/sockets/public", proxy=None), connect(f"{url}/sockets/public", proxy=None):
        await answer_to(place, "/sockets/public")
        await answer_to(place, "/sockets/public")
        meanwhile = await scrape(app)
    await eventually(lambda: len(app.events("websocket_closed")) == 2, within=10)
    await answer_to(place, "/sockets/public", ("Origin", "https://evil.example"))
    await answer_to(place, "/sockets/user")
    for code in (4000, 4999, 3000):
        async with connect(f"{url}/sockets/public", proxy=None) as socket:
            await socket.close(code)
    await eventually(lambda: len(app.events("websocket_closed")) == 5, within=10)
    seen = await scrape(app)

    assert meanwhile.value("plinth_websocket_accepted_total") == 2
    assert seen.value("plinth_websocket_accepted_total") == 5
    assert seen.value("plinth_websocket_refused_total", reason="address") == 2
    assert seen.value("plinth_websocket_refused_total", reason="origin") == 1
    assert seen.value("plinth_websocket_refused_total", reason="unauthorized") == 1
    assert seen.value("plinth_websocket_closed_total", code="1000") == 2
    # A client may close with thousands of codes of its own, and none of them makes a series.
    assert seen.value("plinth_websocket_closed_total", code="other") == 3
    assert len(seen.label_sets("plinth_websocket_closed_total")) == 2


async def test_a_server_that_offers_no_connection_is_counted_by_its_events() -> None:
    """Such as another ASGI server, or Quart's own test client."""
    metrics, events = Metrics(), [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]

    async def app(_: object, receive: Any, send: Any) -> None:  # an ASGI application
        await receive()
        await send({"type": "websocket.accept", "headers": []})
        await receive()
        await send({"type": "websocket.send", "text": "back"})
        await send({"type": "websocket.close", "code": 1001, "reason": None})

    async def receive() -> dict[str, str]:
        return events.pop(0)

    async def send(_: object) -> None: ...

    scope: Any = {"type": "websocket", "raw_path": b"/", KEY: Exchange("id", route="/a")}
    with capture_logs() as logs:
        await AccessLog(app, sockets=metrics.sockets)(scope, receive, send)  # type: ignore[arg-type]  # as above

    assert [line["event"] for line in logs] == ["websocket_opened", "websocket_closed"]
    assert (logs[1]["code"], logs[1]["received"], logs[1]["sent"]) == (1001, 1, 1)
