"""The cookie of a browser's session."""

from __future__ import annotations

from quart import Request, Websocket
from werkzeug.http import dump_cookie

from app.core.errors import Unauthorized

NAME = "__Host-session"  # the prefix: only this host can set it, over TLS, for all paths (RFC 6265bis, 4.1.3.2)


def session_cookies(incoming: Request | Websocket) -> tuple[str, ...]:
    """All of this name that the browser sent; each once, in their order."""
    return tuple(dict.fromkeys(incoming.cookies.getlist(NAME)))


def session_cookie(incoming: Request | Websocket) -> str | None:
    """What the browser sent; None where it sent none.

    Raises `Unauthorized` for two different ones: no browser keeps two of this name, and which of them is meant would
    be up to whoever has put the other one there.
    """
    sent = session_cookies(incoming)
    if len(sent) > 1:
        raise Unauthorized
    return sent[0] if sent else None


def keeping(cookie: str, seconds: float) -> dict[str, str]:
    """The header that has the browser keep it for so long."""
    return {"Set-Cookie": _dumped(cookie, int(seconds))}


def forgetting() -> dict[str, str]:
    """The header that has the browser forget it."""
    return {"Set-Cookie": _dumped("", 0)}


def _dumped(value: str, max_age: int) -> str:
    # Lax: links from elsewhere find one signed in, and no form or script from elsewhere sends it (ASVS 3.3.2).
    return dump_cookie(
        NAME, value, max_age=max_age, sync_expires=False, path="/", secure=True, httponly=True, samesite="Lax"
    )
