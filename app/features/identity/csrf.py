"""Whether a request that changes something comes from a page of this service.

The cookie goes along with whatever any page sends here. So a page has to show what no other site can read (the
session's CSRF token) and the browser has to say that the page is ours: each alone would do on most days.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from quart import Request, Websocket

from app.features.identity.errors import CsrfRefused
from app.web.origins import Origins

HEADER = "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1; their handlers change nothing
OURS = frozenset({"same-origin", "none"})  # Sec-Fetch-Site; `none`: the person, not a page, has sent it


def check(incoming: Request | Websocket, csrf_token: str, origins: Sequence[str]) -> None:
    """Raises `CsrfRefused`. A handshake has no such header; its origin was checked before anybody asked who calls."""
    if isinstance(incoming, Websocket) or incoming.method in SAFE:
        return
    check_page(incoming, origins)
    given = incoming.headers.getlist(HEADER)
    if len(given) != 1 or not hmac.compare_digest(given[0].encode(), csrf_token.encode()):
        raise CsrfRefused


def check_page(incoming: Request, origins: Sequence[str]) -> None:
    """Raises `CsrfRefused` where the browser says that a page of another origin has sent this.

    `origins` are those whose pages may do it, too. A client that says nothing is no browser of these days.
    """
    ours = Origins(origins)
    if "Origin" in incoming.headers and not ours.allows(incoming):
        raise CsrfRefused
    sites = incoming.headers.getlist("Sec-Fetch-Site")
    if sites and not (len(sites) == 1 and (sites[0] in OURS or (sites[0] == "same-site" and ours.lists(incoming)))):
        raise CsrfRefused
