"""What the server says by itself, in our words: the last answer on its connection, which no layer of the edge sees."""

from __future__ import annotations

from typing import Any

import structlog

from app.core.errors import (
    AppError,
    BadRequest,
    Forbidden,
    HeadersTooLarge,
    NotFound,
    NotImplementedHere,
    Panic,
)
from app.core.ids import new_id
from app.web.exchange import exchange_of
from app.web.refusal import error_body, error_headers
from app.web.security_headers import ALWAYS, CONTENT_POLICY, DATA_POLICY

log = structlog.get_logger(__name__)

# What an engine decides by a number alone.
KINDS: dict[int, type[AppError]] = {
    400: BadRequest,
    403: Forbidden,
    404: NotFound,
    431: HeadersTooLarge,
    500: Panic,
    501: NotImplementedHere,
}


def answer(error: AppError, request_id: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body."""
    body = error_body(error)
    headers = error_headers(error, body, close=True)
    return [
        *headers,
        (b"x-request-id", request_id.encode()),
        *ALWAYS,
        (CONTENT_POLICY, DATA_POLICY.encode()),
    ], body


def refusal(error: AppError, scope: Any, client: str) -> tuple[list[tuple[bytes, bytes]], bytes]:  # noqa: ANN401
    """The answer to what is no request, or breaks off: headers and body. `scope` is of the request, where there is one.

    Nothing of what was sent is logged: it may hold a secret, or what looks like a line of this log.
    """
    request_id = str(new_id()) if scope is None else request_id_of(scope)
    log.info(
        "request_refused",
        status=error.status,
        code=error.code,
        reason=error.message,
        request_id=request_id,
        client=client,
    )
    return answer(error, request_id)


def request_id_of(scope: Any) -> str:  # noqa: ANN401  (of HTTP or of a WebSocket)
    return exchange_of(scope).request_id
