"""Where a request comes from."""

from __future__ import annotations

from quart import Request, Websocket, request

from app.features.identity.models import Visitor
from app.web.exchange import exchange_of

LONGEST_AGENT = 300  # characters


def visitor() -> Visitor:
    """Of the request being handled."""
    return visitor_of(request)


def visitor_of(incoming: Request | Websocket) -> Visitor:
    """Control characters of its header are left out."""
    agent = "".join(each for each in incoming.headers.get("User-Agent", "") if each.isprintable())
    return Visitor(exchange_of(incoming.scope).client, agent[:LONGEST_AGENT])
