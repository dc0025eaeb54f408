"""Who calls: the one place where a request's credentials are told apart, and asked about again for open sockets.

A header `Authorization` speaks alone: whatever cookie comes with it is not looked at. It holds an API key (which begins
with this service's own mark), an access token of ours, or a token of the OpenID provider. Without one it is the
session of the cookie, and then whatever changes something needs the session's CSRF token, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from uuid import UUID

from quart import Request, Websocket

from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.features.identity import csrf
from app.features.identity.cookies import session_cookie
from app.features.identity.models import Proof
from app.features.identity.service import external, keys, sessions, tokens
from app.features.identity.visitors import visitor_of
from app.web import Caller

LONGEST = 8192  # characters of a credential; a provider's tokens may hold much

HOLDING = {
    Proof.TOKEN: tokens.holding,
    Proof.KEY: keys.holding,
    Proof.EXTERNAL: external.holding,
}


async def authenticate(incoming: Request | Websocket, resources: Resources) -> Caller | None:
    """None without credentials; raises `Unauthorized` for bad ones and `CsrfRefused`."""
    given = incoming.headers.getlist("Authorization")
    if given:
        return await _bearer(_token(given), resources, incoming)
    cookie = session_cookie(incoming)
    if cookie is None:
        return None
    caller, csrf_token = await sessions.caller_of(resources, cookie)
    csrf.check(incoming, csrf_token, resources.settings.server.cors_origins)
    return caller


async def review(credentials: Sequence[str], resources: Resources) -> Collection[str]:
    """Those that still hold, with one statement for each kind."""
    held: list[str] = []
    parted = sorted(each.partition(":")[::2] for each in credentials)
    for proof, group in groupby(parted, key=lambda pair: pair[0]):
        ids = [UUID(id_) for _, id_ in group]
        held += [f"{proof}:{id_}" for id_ in await _holding(Proof(proof), resources, ids)]
    return held


async def _holding(proof: Proof, resources: Resources, ids: Sequence[UUID]) -> Collection[UUID]:
    if proof is Proof.SESSION:  # how long one may be idle, the settings say
        return await sessions.holding(resources.database, ids, idle=resources.settings.session.idle_timeout)
    return await HOLDING[proof](resources.database, ids)


async def _bearer(token: str, resources: Resources, incoming: Request | Websocket) -> Caller:
    if keys.is_key(token):
        return await keys.caller_of(resources, token)
    if external.is_external(resources, token):
        return await external.caller_of(resources, token, visitor_of(incoming))
    return await tokens.caller_of(resources, token)


def _token(given: Sequence[str]) -> str:
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not 0 < len(token) <= LONGEST or not token.isascii():
        raise Unauthorized
    return token
