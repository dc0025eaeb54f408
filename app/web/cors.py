"""CORS at the ASGI level, so that errors and timeouts carry the headers too."""

from __future__ import annotations

from collections.abc import Sequence

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

METHODS = b"GET, POST, PUT, DELETE, PATCH"
HEADERS = b"Content-Type, Authorization, X-CSRF-Token"
# What a page's script may read of an answer, besides the few headers that browsers always show it.
EXPOSED = b"X-Request-Id, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining"
MAX_AGE = b"3600"  # seconds a browser may keep a preflight's answer


class Cors:
    """Answers preflights and marks responses for the listed origins; every other origin sees nothing."""

    def __init__(self, app: ASGIFramework, *, origins: Sequence[str]) -> None:
        """`origins` are exact: scheme, host and port as a browser sends them."""
        self.app = app
        self.origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http" or not self.origins:
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        allowed = origin if origin in self.origins else None
        if allowed and scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer_preflight(allowed, send)
            return
        await self.app(scope, receive, _marking(send, allowed))


def _marking(send: ASGISendCallable, allowed: bytes | None) -> ASGISendCallable:
    async def marked(event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            event = {**event, "headers": [*event["headers"], *_response_headers(allowed)]}
        await send(event)

    return marked


def _response_headers(allowed: bytes | None) -> list[tuple[bytes, bytes]]:
    # A cache must keep answers apart by origin even where this one was not allowed.
    vary = [(b"vary", b"Origin")]
    if allowed is None:
        return vary
    return [
        *vary,
        (b"access-control-allow-origin", allowed),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", EXPOSED),
    ]


async def _answer_preflight(allowed: bytes, send: ASGISendCallable) -> None:
    headers = [
        *_response_headers(allowed),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", HEADERS),
        (b"access-control-max-age", MAX_AGE),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
