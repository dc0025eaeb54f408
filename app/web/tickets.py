"""Tickets: what opens one socket, once, for pages that sign in with a token.

A browser's WebSocket can send no header, and an address ends up in the logs of proxies. So a page asks for a ticket
first, and what is logged of it later is worth nothing any more.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime
from typing import Any

from app.core.callers import Caller
from app.core.errors import Unauthorized
from app.core.json import dumps, loads
from app.core.redis import Redis

PARAMETER = "ticket"  # in the query of the handshake
BYTES = 32  # of randomness: nobody guesses one within its lifetime, nor ever
FORM = re.compile(r"[A-Za-z0-9_-]{43}")  # those bytes in URL-safe base64


async def issue_ticket(redis: Redis, caller: Caller, *, lifetime: float) -> str:
    """A ticket for a socket of `caller`, good for `lifetime` seconds. Raises `RedisUnavailable`."""
    ticket = secrets.token_urlsafe(BYTES)
    await redis.execute("SET", _key(ticket), dumps(_written(caller)), "PX", int(lifetime * 1000))
    return ticket


async def redeem_ticket(redis: Redis, ticket: str) -> Caller:
    """Whoever it was issued to; from now on it is worth nothing.

    Raises `Unauthorized` for one that is used, over or made up, and `RedisUnavailable`.
    """
    found = await redis.execute("GETDEL", _key(ticket)) if FORM.fullmatch(ticket) else None
    if found is None:
        raise Unauthorized
    return _read(loads(found))


def _key(ticket: str) -> str:
    """Only its hash is kept: whoever reads Redis, or what it writes to disk, learns of no ticket."""
    return f"realtime:ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"


def _written(caller: Caller) -> dict[str, Any]:
    return {
        "id": caller.id,
        "role": caller.role,
        "permissions": None if caller.permissions is None else sorted(caller.permissions),
        "credential": caller.credential,
        "expires_at": caller.expires_at.isoformat() if caller.expires_at else None,
    }


def _read(fields: dict[str, Any]) -> Caller:
    expires_at, permissions = fields["expires_at"], fields["permissions"]
    return Caller(
        **fields
        | {
            "permissions": None if permissions is None else frozenset(permissions),
            "expires_at": datetime.fromisoformat(expires_at) if expires_at else None,
        }
    )
