"""Which pages may open sockets: browsers send cookies along with any page's handshake, and no CORS stops them."""

from __future__ import annotations

from collections.abc import Sequence

from quart import Request, Websocket

from app.core.errors import Forbidden
from app.core.settings.faults import Rejected
from app.core.settings.kinds.origins import parse_origin
from app.web.exchange import exchange_of

SECURE = frozenset({"https", "wss"})


class ForeignOrigin(Forbidden):
    """Pages of this origin may not open sockets here; server.cors_origins and server.trusted_proxies decide that."""


class Origins:
    """Lets this service's own pages in, those of the listed origins, and clients that are no browsers."""

    def __init__(self, listed: Sequence[str]) -> None:
        """`listed` are exact: scheme, host and port as a browser sends them."""
        self.listed = frozenset(listed)

    def check(self, handshake: Websocket) -> None:
        """Raises `ForeignOrigin`; also for cookies without an origin, as browsers never send them in a handshake."""
        if "Origin" not in handshake.headers and "Cookie" not in handshake.headers:
            return
        if not self.allows(handshake):
            raise ForeignOrigin

    def allows(self, incoming: Request | Websocket) -> bool:
        """Whether it names an origin, and that is this service's own or a listed one."""
        origin = _named(incoming)
        return origin is not None and (origin in self.listed or origin == _own(incoming))

    def lists(self, incoming: Request | Websocket) -> bool:
        """Whether it names a listed origin."""
        return _named(incoming) in self.listed


def _named(incoming: Request | Websocket) -> str | None:
    given = incoming.headers.getlist("Origin")
    return _normal(given[0]) if len(given) == 1 else None


def _own(incoming: Request | Websocket) -> str | None:
    """The origin of this service as its client sees it; a proxy that is not trusted can't say that it speaks TLS."""
    scheme = "https" if exchange_of(incoming.scope).scheme in SECURE else "http"
    return _normal(f"{scheme}://{incoming.headers.get('Host', '')}")


def _normal(text: str) -> str | None:
    """In the browser's own spelling; None for `null` and for what no browser would send."""
    if not (text.isascii() and text.isprintable()) or " " in text:  # what `urlsplit` would silently drop
        return None
    try:
        return parse_origin(text)
    except Rejected:
        return None
