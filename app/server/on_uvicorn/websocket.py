"""One WebSocket of uvicorn's: the protocol that a connection speaks from its handshake on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import Context
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE
from uvicorn.server import ServerState

from app.core.errors import Panic
from app.core.scope_state import WIRE
from app.server.answers import KINDS, answer, request_id_of
from app.server.engine import LINGER, MOST_DROPPED, Asgi, Connections, reset
from app.server.handshake import Handshake, Headers
from app.server.socket import Socket, Unexpected
from app.sockets.wire import CloseCode
from app.web.body import CONTINUE

log = logging.getLogger("uvicorn.error")

Scope = MutableMapping[str, Any]

WITHOUT_BODY = {204, 304}


class BadHeader(Exception):
    """The application sends a header that would be another one on the wire."""


class WebsocketProtocol(asyncio.Protocol):
    """The handshake as ASGI has it, and the line below a `Socket` once the application has accepted it."""

    __slots__ = (
        *("_app", "_connections", "_dropped", "_handshake", "_is_leaving", "_lingering", "_response", "_room"),
        *("_scope", "_server", "_transport", "socket"),
    )

    def __init__(self, app: Asgi, transport: asyncio.Transport, connections: Connections, server: ServerState) -> None:
        self._app = app
        self._transport = transport
        self._connections = connections
        self._server = server
        self.socket = Socket(transport, connections.websocket, connections.wires, self)
        self._scope: Scope | None = None  # of a handshake that has no answer
        self._handshake: Handshake | None = None
        self._response: Any = None  # the head of a refusal, or what has become of it
        self._room: asyncio.Event | None = None  # to write more; None where there is some
        self._is_leaving = False
        self._lingering: asyncio.TimerHandle | None = None
        self._dropped = 0  # bytes

    def begin(self, scope: Scope, early: bytes) -> None:
        """Take the connection over from the protocol that has read the head.

        `scope` says what was read, as of HTTP; `early` are bytes that have come behind the head.
        """
        self._connections.add(self)
        self._server.connections.add(self)  # type: ignore[arg-type]  # it asks for `shutdown`, and when they have gone
        self._transport.set_protocol(self)
        handshake = self._handshake = Handshake(scope["headers"], scope["http_version"])
        self._scope = scope = _of_websocket(scope, handshake, self.socket)
        if not handshake.is_valid() or early:
            self._refuse(400)
            return
        # Not in the context of whoever was answered before, in which the loop may have called.
        task = asyncio.get_running_loop().create_task(self._run(scope), context=Context())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _run(self, scope: Scope) -> None:
        self.socket.inbox.put({"type": "websocket.connect"})
        try:
            await self._app(scope, self.socket.inbox.get, self._say)
        except Exception:
            log.exception("Exception in ASGI application")
        finally:
            await self._say(None)

    # What the application says.

    async def _say(self, message: Any) -> None:  # noqa: ANN401  (one of several kinds of event; None at the end)
        if self.socket.is_accepted:
            await self.socket.say(message)
        elif self._scope is not None and not self._transport.is_closing():
            await self._answer(message)
        elif message is None:
            self._leave()

    async def _answer(self, message: Any) -> None:  # noqa: ANN401  (as above)
        """To the handshake."""
        kind = message["type"] if message else None
        if self._response is not None:
            await self._respond(kind, message)
        elif kind == "websocket.accept" and self._handshake:
            self._accept(message, self._handshake)
        elif kind == "websocket.http.response.start":
            self._response = message
        elif kind in {"websocket.close", None}:
            self._refuse(403 if kind else 500)
        else:
            raise Unexpected(kind)

    def _accept(self, message: Any, handshake: Handshake) -> None:  # noqa: ANN401  (one kind of event)
        # Raises for a subprotocol that nobody has offered; then the handshake can still be refused.
        status, headers, frames = handshake.accept(message.get("subprotocol"), message.get("headers") or [])
        head = self._head(status, headers)
        self.socket.begin(frames)
        self._transport.write(head)
        self.socket.enter()
        self._scope = self._handshake = None  # would be kept as long as the socket

    async def _respond(self, kind: str | None, message: Any) -> None:  # noqa: ANN401  (one kind of event)
        """Refuse in the words of the application. The body ends with the connection, whatever its headers say."""
        if kind is None:
            reset(self._transport)  # else the part that was sent would pass for the whole
            return
        if kind != "websocket.http.response.body":
            raise Unexpected(kind)
        if isinstance(self._response, dict):
            status, headers = int(self._response["status"]), list(self._response["headers"])
            others = [(name, value) for name, value in headers if name != b"connection"]
            self._transport.write(self._head(status, [*others, (b"connection", b"close")]))
            self._response = status
        if self._response not in WITHOUT_BODY:
            self._transport.write(bytes(message.get("body", b"")))
        if message.get("more_body", False):
            await self.drain()
        else:
            self._scope = self._handshake = None

    def _refuse(self, status: int) -> None:
        """In the words of the server."""
        error = KINDS.get(status, Panic)()
        headers, body = answer(error, request_id_of(self._scope))
        self._transport.write(self._head(error.status, headers) + body)
        self._scope = self._handshake = None
        self.socket.end(CloseCode.NORMAL)
        self._leave()

    def _head(self, status: int, headers: Headers) -> bytes:
        """Raises `BadHeader`."""
        parts = [STATUS_LINE[status]]
        for name, value in [*self._server.default_headers, *headers]:
            if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
                raise BadHeader(name.decode("latin1"))
            parts += [name, b": ", value, b"\r\n"]
        return b"".join([*parts, b"\r\n"])

    # What the socket asks for: `app.server.socket.Line`.

    def hold(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
        if self.socket.is_over:
            self._leave()

    async def drain(self) -> None:
        if self._room is not None:
            await self._room.wait()

    # What the transport tells.

    def data_received(self, data: bytes) -> None:
        if self.socket.is_accepted and not self._is_leaving:
            self.socket.feed(data)
            if self.socket.is_over:
                self._leave()
        elif self._scope is not None and self._response is None:
            self._refuse(400)
        else:
            self._drop(len(data))

    def pause_writing(self) -> None:
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)
        self._server.connections.discard(self)
        self.resume_writing()
        self.socket.lost()
        self._scope = self._handshake = None
        if self._lingering:
            self._lingering.cancel()
            self._lingering = None  # its context leads back to here

    # The end.

    def abort(self) -> None:
        """Drop the connection without waiting for the peer."""
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops; how a socket ends then is for our own drain to say."""

    def _leave(self) -> None:
        """Close our half; a whole close with unread bytes resets the connection, which overtakes what was said last."""
        if self._is_leaving:
            return
        self._is_leaving = True
        if not self._transport.is_closing():
            with suppress(OSError, RuntimeError):
                self._transport.write_eof()
            # Not closed, which would wait for a peer that reads nothing.
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)

    def _drop(self, size: int) -> None:
        """What still comes is read so that our last words are not lost; but not without an end."""
        self._dropped += size
        if self._dropped > MOST_DROPPED:
            reset(self._transport)


def _of_websocket(http: Scope, handshake: Handshake, wire: Socket) -> Scope:
    """The scope as ASGI has it for a handshake."""
    state = {name: value for name, value in http["state"].items() if name != CONTINUE}  # which holds on to HTTP
    scope = {name: value for name, value in http.items() if name != "method"}
    return scope | {
        "type": "websocket",
        "asgi": {"spec_version": "2.3", "version": "3.0"},
        "scheme": "wss" if http["scheme"] in {"https", "wss"} else "ws",
        "state": {**state, WIRE: wire},
        "subprotocols": handshake.subprotocols,
        "extensions": {"websocket.http.response": {}},
    }
