"""How a caller proves who it is, as far as the audience of a route asks for it."""

from __future__ import annotations

from app.web.idempotency import UNSAFE
from app.web.openapi.schemas import Schema
from app.web.policy import Audience

SCHEMES: dict[str, Schema] = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token, in the header `Authorization: Bearer`.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "API key",
        "description": "An API key, in the same header.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-session",
        "description": "The session of a browser.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "The session's token, beside the cookie wherever something is changed.",
    },
}
# Bad credentials are refused by `socket`, too, where good ones may be left out.
SIGNING_IN = frozenset({Audience.USER, Audience.ADMIN, Audience.SOCKET})


def security(audience: Audience, method: str) -> list[dict[str, list[str]]]:
    """The ways in, any of which will do; none where nobody is asked."""
    if audience not in SIGNING_IN:
        return []
    session = ("session", "csrf") if method in UNSAFE else ("session",)
    return [{"accessToken": []}, {"apiKey": []}, {name: [] for name in session}]
