"""The form of our access tokens: JSON Web Tokens that nothing but this service signs (RFC 7519, 8725 and 9068).

A token is believed only where all of it is as this module writes it: the header says nothing of its own, so there is
no algorithm to choose, no address to fetch a key from and no extension to honour.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from app.core.errors import Unauthorized
from app.core.json import dumps, loads
from app.core.settings import Secret
from app.core.settings.sections import Jwt

ALGORITHM = "HS256"
TYPE = "at+jwt"  # so that no other JWT signed with the same key is taken for one (RFC 9068, 2.1; RFC 8725, 3.11)
LONGEST = 4096  # characters; ours have some 500
# Without padding and with a last character that has no bits to spare: one way to write a signature of 32 bytes.
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
CLAIMS = {"iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp"}
LEEWAY = timedelta(seconds=60)  # by which the clock that issued a token may be ahead of the one that reads it


@dataclass(frozen=True)
class AccessToken:
    """What an access token says. Times are whole seconds in a token; whoever signs may give finer ones."""

    jti: UUID
    user_id: UUID
    family_id: UUID
    issued_at: datetime
    expires_at: datetime

    @property
    def lifetime(self) -> int:
        """Seconds from one whole second to the other."""
        return int(self.expires_at.timestamp()) - int(self.issued_at.timestamp())


def sign(settings: Jwt, token: AccessToken) -> str:
    """The same text for the same token, as long as the secret is the same."""
    import jwt  # noqa: PLC0415  (its cryptography takes long to import, and most commands sign nothing)

    issued_at = int(token.issued_at.timestamp())
    claims = {"iss": settings.issuer, "aud": settings.audience, "sub": token.user_id, "jti": token.jti}
    times = {"iat": issued_at, "nbf": issued_at, "exp": int(token.expires_at.timestamp())}
    return jwt.PyJWS().encode(
        dumps({**claims, "sid": token.family_id, **times}),
        settings.secret.reveal(),
        algorithm=ALGORITHM,
        headers=_header(settings.secret),
    )


def read(settings: Jwt, text: str, now: datetime) -> AccessToken:
    """What a token says that holds `now`, as far as the token itself can tell. Raises `Unauthorized`."""
    token = read_any(settings, text)
    if not token.issued_at <= now + LEEWAY or not now < token.expires_at:
        raise Unauthorized
    return token


def read_any(settings: Jwt, text: str) -> AccessToken:
    """The same without a look at the time: for whoever gives a token back."""
    import jwt  # noqa: PLC0415  (see above)

    try:
        secret = _secret(settings, text)
        payload = jwt.PyJWS().decode(text, secret.reveal(), algorithms=[ALGORITHM])
        return _token(settings, loads(payload))
    except (jwt.InvalidTokenError, ValueError, OverflowError, OSError) as error:
        raise Unauthorized from error


def _secret(settings: Jwt, text: str) -> Secret:
    """The one whose header this is, all of it. Raises `ValueError`."""
    if len(text) > LONGEST or not FORM.fullmatch(text):
        raise ValueError("no token of ours")
    header = text.partition(".")[0]
    given = loads(base64.b64decode(header + "=" * (-len(header) % 4), altchars=b"-_", validate=True))
    for secret in (settings.secret, settings.previous_secret):
        if secret and given == _header(secret):
            return secret
    raise ValueError("no header of ours")


def _header(secret: Secret) -> dict[str, str]:
    return {"alg": ALGORITHM, "kid": hashlib.sha256(secret.reveal().encode()).hexdigest()[:16], "typ": TYPE}


def _token(settings: Jwt, claims: object) -> AccessToken:
    """Raises `ValueError` where a claim is missing, is of another type, or is another service's."""
    if not isinstance(claims, dict) or set(claims) != CLAIMS:
        raise ValueError("not our claims")
    if claims["iss"] != settings.issuer or claims["aud"] != settings.audience or claims["nbf"] != claims["iat"]:
        raise ValueError("not issued by us, or not for us")
    jti, user_id, family_id = (_uuid(claims, name) for name in ("jti", "sub", "sid"))
    return AccessToken(jti, user_id, family_id, _time(claims, "iat"), _time(claims, "exp"))


def _uuid(claims: Mapping[str, Any], name: str) -> UUID:
    if not isinstance(claims[name], str):
        raise ValueError("not an id")  # noqa: TRY004  (all that is wrong with a token is one error)
    return UUID(claims[name])


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    if type(claims[name]) is not int:  # True is one, too
        raise ValueError("not a time")
    return datetime.fromtimestamp(cast(int, claims[name]), UTC)
