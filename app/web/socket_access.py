"""What the access log says of a WebSocket: that it was opened and how it ended, or why it was refused."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Protocol

import structlog
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    WebsocketScope,
)

from app.core.errors import Forbidden, Panic
from app.core.scope_state import WIRE
from app.web.access_paths import path_of
from app.web.errors import KINDS
from app.web.exchange import Exchange, exchange_of

log = structlog.get_logger(__name__)

ABNORMAL = 1006  # close code of a connection that just ended, RFC 6455
NONE_NEEDED = 1000


class SocketObserver(Protocol):
    """Metrics implement this; each method must return at once and never raise."""

    def accepted(self) -> None:
        """A handshake was answered with 101."""

    def refused(self, reason: str) -> None:
        """A handshake was answered otherwise, or not at all; `reason` is of a fixed set."""

    def closed(self, code: int) -> None:
        """A socket has ended, with the close code that was given first."""


class NoSocketObserver:
    """Nobody is watching."""

    def accepted(self) -> None: ...

    def refused(self, reason: str) -> None: ...

    def closed(self, code: int) -> None: ...


class Ending(Protocol):
    """A connection, as far as the log tells of it."""

    close_code: int | None
    received: int
    sent: int


class Events:
    """The same as the server's own connection knows, of a server that has none: from the events that pass."""

    __slots__ = ("close_code", "received", "sent")

    def __init__(self) -> None:
        self.close_code: int | None = None
        self.received = 0
        self.sent = 0

    def came(self, event: ASGIReceiveEvent) -> None:
        if event["type"] == "websocket.receive":
            self.received += 1
        elif event["type"] == "websocket.disconnect" and self.close_code is None:
            self.close_code = event.get("code", ABNORMAL)

    def left(self, event: ASGISendEvent) -> None:
        if event["type"] == "websocket.send":
            self.sent += 1
        elif event["type"] == "websocket.close" and self.close_code is None:
            self.close_code = event.get("code") or NONE_NEEDED


async def logged_socket(
    app: ASGIFramework,
    scope: WebsocketScope,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
    observer: SocketObserver,
) -> None:
    """Logs `websocket_opened` and `websocket_closed`, or `websocket_refused`; never a header, the query, a message."""
    exchange, events, opened = exchange_of(scope), Events(), 0.0

    async def coming() -> ASGIReceiveEvent:
        event = await receive()
        events.came(event)
        return event

    async def leaving(event: ASGISendEvent) -> None:
        nonlocal opened
        await send(event)
        events.left(event)
        if event["type"] == "websocket.accept":
            opened = perf_counter()
            observer.accepted()
            _log("websocket_opened", exchange, scope)

    try:
        await app(scope, coming, leaving)
    finally:
        if opened:
            state: dict[str, Any] = scope.get("state") or {}
            _closed(scope, exchange, state.get(WIRE) or events, perf_counter() - opened, observer)
        else:
            _refused(scope, exchange, observer)


def _closed(
    scope: WebsocketScope, exchange: Exchange, ending: Ending, seconds: float, observer: SocketObserver
) -> None:
    code = int(ending.close_code or ABNORMAL)  # some tell it as an enum, which would be logged by its name
    observer.closed(code)
    _log(
        "websocket_closed",
        exchange,
        scope,
        code=code,
        seconds=round(seconds, 3),
        received=ending.received,
        sent=ending.sent,
    )


def _refused(scope: WebsocketScope, exchange: Exchange, observer: SocketObserver) -> None:
    status = exchange.status
    if status is None and exchange.ended:
        status = Forbidden.status  # closed before it was accepted, which servers answer so
    if status is None:
        code, reason = "", "disconnected" if exchange.gone else "cancelled"
    else:
        code = exchange.code or _code_of(status)
        reason = exchange.reason or code.lower() or "other"
    observer.refused(reason)
    _log("websocket_refused", exchange, scope, status=status, code=code, reason=reason)


def _code_of(status: int) -> str:
    """Of an error that no gate has noted; nothing for an answer that is none, such as a redirection."""
    kind = Panic if status == Panic.status else KINDS.get(status)
    return kind.code if kind else ""


def _log(event: str, exchange: Exchange, scope: WebsocketScope, **more: Any) -> None:  # noqa: ANN401  (of a line)
    if not exchange.logged:
        return
    line: dict[str, Any] = {"route": exchange.route, "client": exchange.client}
    if exchange.route is None:
        line["path"] = path_of(scope["raw_path"])
    if exchange.caller is not None:
        line["caller"] = str(exchange.caller.id)
    log.info(event, **line, **more)
