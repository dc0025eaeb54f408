"""Where a request comes from."""

from __future__ import annotations

from quart import request

from app.features.identity.models import Visitor
from app.web.exchange import exchange_of

LONGEST_AGENT = 300  # characters


def visitor() -> Visitor:
    """Of the request being handled. Control characters of its header are left out."""
    agent = "".join(each for each in request.headers.get("User-Agent", "") if each.isprintable())
    return Visitor(exchange_of(request.scope).client, agent[:LONGEST_AGENT])
