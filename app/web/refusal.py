"""The one error body below Quart: for layers that answer by themselves, before there is a request to answer."""

from __future__ import annotations

from typing import Any

from hypercorn.typing import ASGISendCallable, HTTPResponseStartEvent, Scope, WebsocketResponseStartEvent

from app.core.errors import AppError
from app.core.json import dumps

JSON = (b"content-type", b"application/json")
CLOSE = (b"connection", b"close")


def error_body(error: AppError) -> bytes:
    """A sentence, a code, and details where they help."""
    body: dict[str, Any] = {"error": error.message, "code": error.code}
    if error.details:
        body["details"] = error.details
    return dumps(body)


def error_headers(error: AppError, body: bytes, *, close: bool) -> list[tuple[bytes, bytes]]:
    """`close` says that no further request is read from this connection; the server then keeps that word."""
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    return [*headers, CLOSE] if close else headers


async def refuse(scope: Scope, send: ASGISendCallable, error: AppError, *, close: bool = False) -> None:
    """Answer with `error` instead of calling the application; what is left of the body is not waited for."""
    body = error_body(error)
    headers = error_headers(error, body, close=close)
    if scope["type"] == "websocket":
        websocket: WebsocketResponseStartEvent = {
            "type": "websocket.http.response.start",
            "status": error.status,
            "headers": headers,
        }
        await send(websocket)
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
        return
    start: HTTPResponseStartEvent = {"type": "http.response.start", "status": error.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
