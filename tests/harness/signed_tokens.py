"""Callers with real credentials, for tests of routes that ask who calls: a signed token that expires and is revoked.

It comes as a bearer token, which is how an API key is sent, too, or in the cookie of a browser's session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from quart import Request, Websocket
from redis import Redis as Client

from app.core.errors import Unauthorized
from app.core.redis import Redis, RedisUnavailable
from app.core.resources import Resources
from app.feature import Feature
from app.web import Caller

KEY = b"made-up-for-tests"
FAR = 4_102_444_800  # seconds since 1970, in the year 2100
COOKIE = "__Host-session"
REVOKED = "signed_tokens:revoked"  # a set in Redis, so that every process sees it


def sign(
    caller: str,
    *,
    role: str = "user",
    expires: float = FAR,
    session: str = "",
    permissions: Sequence[str] | None = None,
    key: bytes = KEY,
) -> str:
    """A token for `caller`, valid until `expires` (seconds since 1970); `session` names one of its sign-ins.

    With `permissions` it stands for an API key.
    """
    claims = {"sub": caller, "role": role, "exp": expires, "sid": session or caller, "permissions": permissions}
    return seal(json.dumps(claims).encode(), key=key)


def seal(payload: bytes, *, key: bytes = KEY) -> str:
    """Whatever it holds, its signature is right."""
    return f"{_encoded(payload)}.{_encoded(_signature(payload, key))}"


def bearer(caller: str, **claims: Any) -> dict[str, str]:
    """The header that proves it."""
    return {"Authorization": f"Bearer {sign(caller, **claims)}"}


def cookie(caller: str, **claims: Any) -> dict[str, str]:
    """The header that a browser sends by itself."""
    return {"Cookie": f"{COOKIE}={sign(caller, **claims)}"}


def credential(session: str) -> str:
    """What `Caller.credential` is for tokens of this `session`, which is the caller's id where none was given."""
    return f"session:{session}"


def revoke(redis_url: str, *sessions: str) -> None:
    """Sign them out, for every process that asks this Redis; open sockets hear of it at their next review."""
    with Client.from_url(redis_url) as redis:
        redis.sadd(REVOKED, *map(credential, sessions))


async def authenticate(incoming: Request | Websocket, resources: Resources) -> Caller | None:
    """An `Authenticator` as a feature brings one. Raises `Unauthorized` for credentials that are not good."""
    token = _token(incoming)
    if token is None:
        return None
    caller = verified(token)
    if caller.expires_at and caller.expires_at <= resources.clock.now():
        raise Unauthorized
    if await _is_revoked(caller.credential, resources.redis):
        raise Unauthorized
    return caller


async def review(credentials: Sequence[str], resources: Resources) -> Collection[str]:
    """A `Reviewer` as the same feature brings one. Raises `RedisUnavailable`."""
    revoked = await resources.redis.execute("SMISMEMBER", REVOKED, *credentials)
    return [each for each, is_revoked in zip(credentials, revoked, strict=True) if not is_revoked]


async def _is_revoked(name: str, redis: Redis) -> bool:
    """While Redis is away, a good signature has to do."""
    try:
        return bool(await redis.execute("SISMEMBER", REVOKED, name))
    except RedisUnavailable:
        return False


def _token(incoming: Request | Websocket) -> str | None:
    given = incoming.headers.getlist("Authorization")
    if not given:
        return incoming.cookies.get(COOKIE)
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise Unauthorized
    return token


def verified(token: str) -> Caller:
    """Whom a token names, if its signature is right. Raises `Unauthorized`."""
    try:
        payload, signature = (base64.b64decode(part, altchars=b"-_", validate=True) for part in token.split("."))
    except ValueError as error:
        raise Unauthorized from error
    if not hmac.compare_digest(signature, _signature(payload, KEY)):
        raise Unauthorized
    try:
        claims = json.loads(payload)
        name, expires_at = str(claims["sub"]), datetime.fromtimestamp(claims["exp"], UTC)
        session, given = str(claims.get("sid", name)), claims.get("permissions")
        permissions = None if given is None else frozenset(given)
        return Caller(name, str(claims["role"]), permissions, credential(session), expires_at)
    except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
        raise Unauthorized from error


def _signature(payload: bytes, key: bytes) -> bytes:
    return hmac.new(key, payload, hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


feature = Feature("signed_tokens", authenticate=authenticate, review=review)
