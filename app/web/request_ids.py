"""Every request has an id: in each line of its log, in its answer, and in what a person reports."""

from __future__ import annotations

import re
from typing import Any

import structlog
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from app.core.ids import new_id
from app.web.exchange import KEY, Exchange

HEADER = b"x-request-id"
# What is taken over from a caller: nothing that could forge a log line or fill one.
SANE = re.compile(rb"[A-Za-z0-9-]{8,64}")


class RequestIds:
    """Takes a sane `X-Request-Id` or makes one (UUIDv7), binds it for the log, and sends it back."""

    def __init__(self, app: ASGIFramework) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request_id = _incoming(scope["headers"]) or str(new_id())
        client = scope.get("client")
        state: dict[str, Any] = scope  # type: ignore[assignment]  # ASGI lets a server's users add keys
        state[KEY] = Exchange(request_id, client[0] if client else "", scope["scheme"])
        # The server gives each request a task of its own, so the binding ends with it.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        header = (HEADER, request_id.encode())

        async def named(event: ASGISendEvent) -> None:
            if event["type"] in {"http.response.start", "websocket.http.response.start"}:
                event["headers"] = [*event["headers"], header]
            await send(event)

        await self.app(scope, receive, named)


def _incoming(headers: Any) -> str | None:  # noqa: ANN401  (an iterable of pairs of bytes)
    for name, value in headers:
        if name == HEADER:
            return value.decode() if SANE.fullmatch(value) else None
    return None
