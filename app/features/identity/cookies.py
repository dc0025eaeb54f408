"""The cookie of a browser's session."""

from __future__ import annotations

from quart import Request, Websocket

NAME = "__Host-session"  # the prefix: only this host can set it, over TLS, for all paths (RFC 6265bis, 4.1.3.2)


def session_cookie(incoming: Request | Websocket) -> str | None:
    """What the browser sent; None where it sent none."""
    return incoming.cookies.get(NAME)
