"""What the server says by itself, in our words: the last answer on its connection, which no layer of the edge sees."""

from __future__ import annotations

from typing import Any

from app.core.errors import (
    AppError,
    BadRequest,
    Forbidden,
    HeadersTooLarge,
    NotFound,
    NotImplementedHere,
    Panic,
)
from app.web.exchange import exchange_of
from app.web.refusal import error_body, error_headers
from app.web.security_headers import ALWAYS, CONTENT_POLICY, DATA_POLICY

# What Hypercorn and h11 decide by a number alone.
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


def request_id_of(scope: Any) -> str:  # noqa: ANN401  (of HTTP or of a WebSocket)
    return exchange_of(scope).request_id
