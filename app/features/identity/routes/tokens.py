"""`/api/v1/auth/token`: Tokens for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from quart import Blueprint

from app.features.identity.credentials import NO_STORE
from app.features.identity.errors import (
    BadRefreshToken,
    HashingBusy,
    SecondFactorNeeded,
    SignInFailed,
    TooManyTries,
)
from app.features.identity.routes.auth import SignIn
from app.features.identity.service import renewal, tokens
from app.features.identity.service.sign_in import prove_password
from app.features.identity.service.token_pairs import Pair
from app.features.identity.visitors import visitor
from app.web import KIB, MINUTE, PUBLIC, Limit, endpoint, resources

routes = Blueprint("tokens", __name__, url_prefix="/api/v1/auth/token")

# A stored answer would hold the tokens. How often somebody may try a password is no matter of the route alone.
SIGNING_IN = PUBLIC.but(idempotency=False)
# Nothing can be guessed here, as a refresh token holds a seal of 256 bits: the limit is on work.
RENEWING = PUBLIC.but(limits=(Limit(300, MINUTE),), body=8 * KIB, idempotency=False)


@dataclass(frozen=True)
class Refresh:
    """A refresh token, which is used once."""

    refresh_token: Annotated[str, Meta(max_length=4096)]


@dataclass(frozen=True)
class Revocation:
    """An access token or a refresh token."""

    token: Annotated[str, Meta(max_length=4096)]


@dataclass(frozen=True)
class Tokens:
    """`access_token` opens routes for `expires_in` seconds; `refresh_token` gives new ones, once (RFC 6749, 5.1)."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  (a word)


@routes.post("")
@endpoint(SIGNING_IN, answers={200: Tokens}, errors=(SignInFailed, SecondFactorNeeded, TooManyTries, HashingBusy))
async def sign_in(body: SignIn) -> tuple[Tokens, int, dict[str, str]]:
    """Sign in as a program.

    The refresh token gives new tokens until `jwt.refresh_lifetime` after this sign-in.
    """
    proven = await prove_password(resources(), visitor(), email=body.email, password=body.password, code=body.code)
    return _answer(await tokens.issue(resources(), proven, visitor()))


@routes.post("/refresh")
@endpoint(RENEWING, answers={200: Tokens}, errors=(BadRefreshToken,))
async def refresh(body: Refresh) -> tuple[Tokens, int, dict[str, str]]:
    """Exchange a refresh token for new tokens.

    It is used up. Sent again at once, as its answer may have been lost, it gives the same answer; sent again later it
    ends the sign-in: whoever holds a token of it has to sign in again.
    """
    return _answer(await renewal.renew(resources(), visitor(), body.refresh_token))


@routes.post("/revoke")
@endpoint(RENEWING, answers={204: None})
async def revoke(body: Revocation) -> tuple[str, int, dict[str, str]]:
    """Give tokens back.

    Ends the sign-in that the token is of, and its sockets. The answer is the same for a token that is none (RFC 7009).
    """
    await tokens.revoke(resources(), visitor(), body.token)
    return "", 204, NO_STORE


def _answer(pair: Pair) -> tuple[Tokens, int, dict[str, str]]:
    return Tokens(pair.access_token, pair.refresh_token, pair.expires_in), 200, NO_STORE
