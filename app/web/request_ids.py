"""Every request has an id: in each line of its log, in its answer, and in what a person reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import structlog
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)

from app.core.ids import new_id_text
from app.web.exchange import KEY, Exchange

HEADER = b"x-request-id"
# What is taken over from a caller: nothing that could forge a log line or fill one.
SANE = re.compile(rb"[A-Za-z0-9-]{8,64}")
# What a line calls it: a connection outlives the request that it began with.
NAMES = {"http": "request_id", "websocket": "connection_id"}

HEADS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
BODIES = {"http.response.body", "websocket.http.response.body"}


class RequestIds:
    """Begins the exchange: takes a sane `X-Request-Id` or makes one (UUIDv7), binds it for the log, sends it back.

    Being outermost, it also notes what has really left, for the layers that must know: one note, one place.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request_id = _incoming(scope["headers"]) or new_id_text()
        client = scope.get("client")  # ASGI lets servers leave it out
        exchange = Exchange(request_id, client[0] if client else "", scope["scheme"])
        state: dict[str, Any] = scope  # type: ignore[assignment]  # ASGI lets a server's users add keys
        state[KEY] = exchange
        # The server gives each request a task of its own, so the binding ends with it.
        structlog.contextvars.bind_contextvars(**{NAMES[scope["type"]]: request_id})
        await self.app(scope, _noting_departure(receive, exchange), _noting_answer(send, exchange))


def _incoming(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The caller's id; of two, neither can be told to be the right one."""
    values = [value for name, value in headers if name == HEADER]
    return values[0].decode() if len(values) == 1 and SANE.fullmatch(values[0]) else None


def _noting_departure(receive: ASGIReceiveCallable, exchange: Exchange) -> ASGIReceiveCallable:
    async def noting() -> ASGIReceiveEvent:
        event = await receive()
        if event["type"] in {"http.disconnect", "websocket.disconnect"} and not exchange.ended:
            exchange.gone = True
        return event

    return noting


def _noting_answer(send: ASGISendCallable, exchange: Exchange) -> ASGISendCallable:
    header = (HEADER, exchange.request_id.encode())

    async def noting(event: ASGISendEvent) -> None:
        kind = event["type"]
        if kind in HEADS:
            head: dict[str, Any] = event  # type: ignore[assignment]  # three kinds of event with the same key
            head["headers"] = [*head["headers"], header]
            await send(event)
            exchange.status = head.get("status", 101)
        elif kind in BODIES or kind == "websocket.close":
            await _note_body(send, event, exchange)
        else:
            await send(event)

    return noting


async def _note_body(send: ASGISendCallable, event: Any, exchange: Exchange) -> None:  # noqa: ANN401  (as above)
    # Noted first: with its last part the server may report the end of the stream before it comes back.
    exchange.ended = not event.get("more_body", False)
    try:
        await send(event)
    except BaseException:
        exchange.ended = False
        raise
    exchange.sent += len(event.get("body", b""))
