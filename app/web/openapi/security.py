"""How a caller proves who it is, as far as the audience of a route asks for it."""

from __future__ import annotations

from app.web.idempotency import UNSAFE
from app.web.openapi.schemas import Schema
from app.web.policy import Audience, Policy

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
        "description": "An API key, in the same header. It opens the operations that name it, with the permission that "
        "stands beside it.",
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


def security(policy: Policy, method: str) -> list[dict[str, list[str]]]:
    """The ways in, any of which will do; none where nobody is asked.

    Beside the API key stands the permission that it needs; a route that asks for none is not for keys.
    """
    if policy.audience not in SIGNING_IN:
        return []
    key = [{"apiKey": [policy.permission]}] if policy.permission else []
    session = ("session", "csrf") if method in UNSAFE else ("session",)
    return [{"accessToken": []}, *key, {name: [] for name in session}]
