"""Reads the tokens of an OpenID provider: access tokens in the form of a JWT (RFC 9068), judged by RFC 8725.

Nothing that a token says of where its key is (`jku`, `x5u`, `jwk`, `x5c`) is ever looked at.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.core.settings.sections import Oidc
from app.features.identity.provider import SigningKey, provider_of
from app.features.identity.signing_keys import ANY_ALGORITHM

log = structlog.get_logger(__name__)

LEEWAY = 30  # seconds that the provider's clock may be ahead; one that has expired here has expired
LONGEST_NAME = 255  # characters of a subject or of the name of a key (OpenID Connect Core, 2)
# Many providers write `JWT` or nothing; other words name what must not pass for an access token (RFC 8725, 3.11).
TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
# What only ID tokens and logout tokens have; a token bound to a key of its client (`cnf`) is no bearer token.
FOREIGN: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events", "cnf"})
# The time is judged below, by the clock that everything here goes by.
OPTIONS: Final = {
    "require": ["iss", "sub", "aud", "exp"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class Refused(Exception):
    """For the log; the caller hears 401 and no more."""


@dataclass(frozen=True)
class External:
    """Whom a good token names. Its roles and groups are the provider's, and not read."""

    issuer: str
    subject: str
    expires_at: datetime
    claims: Mapping[str, Any]


def parts_of(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Header and claims, of which nothing is verified; None for what is no JWT."""
    pieces = token.split(".")
    if len(pieces) != 3:
        return None
    header, claims = _object(pieces[0]), _object(pieces[1])
    return None if header is None or claims is None else (header, claims)


async def read(resources: Resources, token: str) -> External:
    """Raises `Unauthorized`, or `ProviderAway` where the provider's keys are not known."""
    try:
        kid = _key_named(token)
        signing = await provider_of(resources).key(kid)
        claims = _signed(token, signing, resources.settings.oidc)
        _check_use(claims, resources.settings.oidc.client_id)
        expires_at = _check_time(claims, resources.clock.now())
        return External(signing.issuer, _subject(claims), expires_at, claims)
    except Refused as refusal:
        log.info("external_token_refused", reason=str(refusal))
        raise Unauthorized from refusal


def _object(piece: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _key_named(token: str) -> str:
    """The provider's set will have two keys one day, so a token without a name is refused while it has one, too."""
    parts = parts_of(token)
    if parts is None:
        raise Refused("no JWT")
    header, _ = parts
    kid, kind, algorithm = header.get("kid"), header.get("typ", ""), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ANY_ALGORITHM:
        raise Refused("algorithm")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise Refused("typ")
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_NAME:
        raise Refused("kid")
    return kid


def _signed(token: str, signing: SigningKey, settings: Oidc) -> Mapping[str, Any]:
    """The claims, once the signature is good: by the key's own algorithm, whichever the token names."""
    import jwt  # noqa: PLC0415  (loaded with the first token of a provider)

    try:
        found: Mapping[str, Any] = jwt.decode(
            token,
            signing.key,
            algorithms=[signing.key.algorithm_name],
            audience=settings.audience,
            issuer=signing.issuer,
            options=OPTIONS,  # type: ignore[arg-type]  # a dictionary of its own type
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise Refused(type(error).__name__) from error
    return found


def _check_use(claims: Mapping[str, Any], client_id: str) -> None:
    if FOREIGN & claims.keys() or claims.get("typ", "Bearer") != "Bearer":  # Keycloak tells its tokens apart there
        raise Refused("not an access token for bearers")
    clients = {claims[name] for name in ("azp", "client_id") if isinstance(claims.get(name), str)}
    if client_id and clients != {client_id}:
        raise Refused("client")


def _check_time(claims: Mapping[str, Any], now: datetime) -> datetime:
    """When it ends."""
    seconds = now.timestamp()
    ends = _moment(claims, "exp", math.nan)
    if not ends > seconds:
        raise Refused("expired")
    if max(_moment(claims, "nbf", 0.0), _moment(claims, "iat", 0.0)) > seconds + LEEWAY:
        raise Refused("not yet valid")
    try:
        return datetime.fromtimestamp(ends, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Refused("exp") from error


def _moment(claims: Mapping[str, Any], name: str, missing: float) -> float:
    value = claims.get(name, missing)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(name)
    try:
        return float(value)
    except OverflowError as error:
        raise Refused(name) from error


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_NAME:
        raise Refused("sub")
    if not subject.isascii() or not subject.isprintable():  # and no text that a column can't hold
        raise Refused("sub")
    return subject
