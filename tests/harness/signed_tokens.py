"""Callers with real credentials, for tests of routes that ask who calls: a signed bearer token that expires."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from quart import Request, Websocket

from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.feature import Feature
from app.web import Caller

KEY = b"made-up-for-tests"
FAR = 4_102_444_800  # seconds since 1970, in the year 2100


def sign(caller: str, *, role: str = "user", expires: float = FAR, key: bytes = KEY) -> str:
    """A token for `caller`, valid until `expires` (seconds since 1970)."""
    return seal(json.dumps({"sub": caller, "role": role, "exp": expires}).encode(), key=key)


def seal(payload: bytes, *, key: bytes = KEY) -> str:
    """Whatever it holds, its signature is right."""
    return f"{_encoded(payload)}.{_encoded(_signature(payload, key))}"


def bearer(caller: str, **claims: Any) -> dict[str, str]:
    """The header that proves it."""
    return {"Authorization": f"Bearer {sign(caller, **claims)}"}


async def authenticate(incoming: Request | Websocket, resources: Resources) -> Caller | None:
    """An `Authenticator` as a feature brings one. Raises `Unauthorized` for credentials that are not good."""
    given = incoming.headers.getlist("Authorization")
    if not given:
        return None
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise Unauthorized
    claims = _verified(token)
    if claims["exp"] <= resources.clock.now().timestamp():
        raise Unauthorized
    return Caller(claims["sub"], claims["role"])


def _verified(token: str) -> dict[str, Any]:
    try:
        payload, signature = (base64.b64decode(part, altchars=b"-_", validate=True) for part in token.split("."))
    except ValueError as error:
        raise Unauthorized from error
    if not hmac.compare_digest(signature, _signature(payload, KEY)):
        raise Unauthorized
    try:
        claims = json.loads(payload)
        return {"sub": str(claims["sub"]), "role": str(claims["role"]), "exp": float(claims["exp"])}
    except (ValueError, KeyError, TypeError) as error:
        raise Unauthorized from error


def _signature(payload: bytes, key: bytes) -> bytes:
    return hmac.new(key, payload, hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


feature = Feature("signed_tokens", authenticate=authenticate)
