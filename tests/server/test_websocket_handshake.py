"""The handshake on uvicorn, which is ours from its head on: whoever is refused reads why, and nothing gets past it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import Server, ServerState

from app.server.engine import Connections
from app.server.on_uvicorn.opening import BadHeader
from app.server.on_uvicorn.websocket import WebsocketProtocol
from tests.server.raw_socket import TEXT, frame

ASKED = [
    *((b"upgrade", b"websocket"), (b"connection", b"keep-alive, Upgrade"), (b"sec-websocket-version", b"13")),
    *((b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="), (b"sec-websocket-protocol", b"chat, talk")),
]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]


def scope_of(headers: list[tuple[bytes, bytes]], version: str) -> dict[str, Any]:
    names = ("server", "client", "root_path", "path", "raw_path", "query_string")
    return {"headers": headers, "http_version": version, "scheme": "http", "state": {}, **dict.fromkeys(names)}


class Opening(asyncio.Protocol):
    """Hands a new connection over at once, as if its head had been read."""

    def __init__(self, app: App, early: bytes, headers: list[tuple[bytes, bytes]], version: str) -> None:
        self.app, self.early, self.scope = app, early, scope_of(headers, version)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        WebsocketProtocol(self.app, transport, Connections(), ServerState()).begin(self.scope, self.early)


@asynccontextmanager
async def asked(
    app: App, *, early: bytes = b"", headers: list[tuple[bytes, bytes]] = ASKED, version: str = "1.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client whose handshake `app` is to answer."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Opening(app, early, headers, version), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.transport.abort()
        server.close()


async def not_reached(*_: Any) -> None:
    raise AssertionError("the application was asked")


async def patient(_: Any, receive: Receive, __: Send) -> None:
    """Answers nothing before the peer has left."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


def refusing(*parts: bytes, more: bool = False) -> App:
    """Refuses in words of its own, and breaks off where there is `more`."""

    async def app(_: Any, __: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-tea", b"pot")]})
        for number, part in enumerate(parts, 1):
            body = {"body": part, "more_body": more or number < len(parts)}
            await send({"type": "websocket.http.response.body", **body})

    return app


async def test_a_refusal_of_any_length_ends_with_the_connection() -> None:
    async with asked(refusing(b"one", b"x" * 1_000_000, b"two")) as (reader, _):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")

    assert head == b"HTTP/1.1 418 I'm a Teapot\r\nx-tea: pot\r\nconnection: close"
    assert body == b"one" + b"x" * 1_000_000 + b"two"


async def test_a_refusal_that_breaks_off_passes_for_no_whole_one() -> None:
    async with asked(refusing(b"one", more=True)) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


@pytest.mark.parametrize(
    ("early", "headers", "version"),
    [
        (frame(TEXT, b"hello"), ASKED, "1.1"),
        (b"", ASKED, "1.0"),
        *((b"", [*ASKED[:number], *ASKED[number + 1 :]], "1.1") for number in range(4)),
        (b"", [*ASKED, (b"sec-websocket-version", b"8")], "1.1"),
    ],
    ids=[
        "frames before the answer",
        "of HTTP/1.0",
        *(f"without {ASKED[n][0].decode()}" for n in range(4)),
        "version 8",
    ],
)
async def test_what_is_no_handshake_is_refused_before_the_application_is_asked(
    early: bytes, headers: list[tuple[bytes, bytes]], version: str
) -> None:
    async with asked(not_reached, early=early, headers=headers, version=version) as (reader, _):
        answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"code":"BAD_REQUEST"' in answer


async def test_whoever_talks_before_the_answer_is_refused_and_reads_why() -> None:
    async with asked(patient) as (reader, writer):
        writer.write(frame(TEXT, b"x" * 1000) * 1000)
        answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("header", [(b"x-other", b"a\r\nset-cookie: b"), (b"x-other: a\r\nset-cookie", b"b")])
async def test_a_header_that_would_be_another_one_is_a_mistake_of_the_application(header: tuple[bytes, bytes]) -> None:
    raised: list[BaseException] = []

    async def app(_: Any, __: Receive, send: Send) -> None:
        try:
            await send({"type": "websocket.accept", "headers": [header]})
        except BadHeader as error:
            raised.append(error)
        await send({"type": "websocket.close", "code": 1000})

    async with asked(app) as (reader, _):
        answer = await reader.read()

    assert len(raised) == 1
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"set-cookie" not in answer


async def test_a_failure_before_the_answer_is_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(*_: Any) -> None:
        raise RuntimeError("a crash on purpose")

    async with asked(app) as (reader, _):
        answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert "a crash on purpose" in caplog.text


async def test_a_subprotocol_that_was_offered_is_agreed_on() -> None:
    async def app(_: Any, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "subprotocol": "talk"})
        await receive()

    async with asked(app) as (reader, _):
        head = await reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"sec-websocket-protocol: talk\r\n" in head
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head


def test_uvicorn_stops_with_the_connections_and_the_tasks_that_we_enter() -> None:
    shutdown, waiting = inspect.getsource(Server.shutdown), inspect.getsource(Server._wait_tasks_to_complete)

    assert "for connection in list(self.server_state.connections):\n            connection.shutdown()" in shutdown
    assert "while self.server_state.connections and" in waiting
    assert "while self.server_state.tasks and" in waiting
    assert STATUS_LINE[101] == b"HTTP/1.1 101 Switching Protocols\r\n"
