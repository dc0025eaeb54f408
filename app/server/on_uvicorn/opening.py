"""A handshake for a WebSocket on uvicorn, from its head to the answer: events of ASGI come in, and bytes go out."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE
from uvicorn.server import ServerState
from wsproto.connection import Connection as Frames

from app.core.errors import Panic
from app.core.scope_state import WIRE
from app.server.answers import KINDS, answer, request_id_of
from app.server.handshake import Handshake, Headers
from app.sockets.wire import Wire
from app.web.body import CONTINUE
from app.web.refusal import CLOSE

WITHOUT_BODY = {204, 304}

Scope = MutableMapping[str, Any]


class BadHeader(Exception):
    """The application sends a header that would be another one on the wire."""


class Opening:
    """Is given up with its answer: a socket that is open needs none of this."""

    __slots__ = ("_handshake", "_server", "_start", "_status", "scope")

    def __init__(self, http: Scope, wire: Wire, server: ServerState) -> None:
        """`http` is the scope of the handshake as of a request; `server` has headers for every answer."""
        self._handshake = Handshake(http["headers"], http["http_version"])
        self._server = server
        self._start: Any = None  # the event that a refusal of the application's begins with
        self._status = 0  # of that refusal, once its head has left
        self.scope = _of_websocket(http, self._handshake, wire)

    @property
    def is_valid(self) -> bool:
        return self._handshake.is_valid()

    @property
    def is_refused(self) -> bool:
        """True from the first word of the application's refusal on."""
        return self._start is not None

    def accept(self, message: Any) -> tuple[bytes, Frames]:  # noqa: ANN401  (one kind of event)
        """Raises `NotOffered`, `NotOurs` or `BadHeader`; then the handshake can still be refused."""
        status, headers, frames = self._handshake.accept(message.get("subprotocol"), message.get("headers") or [])
        return self._head(status, headers), frames

    def refuse(self, status: int) -> bytes:
        """In the words of the server."""
        error = KINDS.get(status, Panic)()
        headers, body = answer(error, request_id_of(self.scope))
        return self._head(error.status, headers) + body

    def start(self, message: Any) -> None:  # noqa: ANN401  (one kind of event)
        """The application refuses in words of its own, of which this is the head."""
        self._start = message

    def part(self, message: Any) -> bytes:  # noqa: ANN401  (one kind of event)
        """The next part of that refusal, the head before the first one. It ends with the connection."""
        head = b""
        if not self._status:
            headers = [header for header in self._start["headers"] if header[0].lower() != CLOSE[0]]
            head = self._head(int(self._start["status"]), [*headers, CLOSE])
            self._status = int(self._start["status"])
        return head if self._status in WITHOUT_BODY else head + bytes(message.get("body", b""))

    def _head(self, status: int, headers: Headers) -> bytes:
        parts = [STATUS_LINE[status]]
        for name, value in (*self._server.default_headers, *headers):
            if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
                raise BadHeader(name.decode("latin1"))
            parts += [name, b": ", value, b"\r\n"]
        return b"".join([*parts, b"\r\n"])


def _of_websocket(http: Scope, handshake: Handshake, wire: Wire) -> Scope:
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
