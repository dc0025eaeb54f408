"""`/api/v1/auth/token`: Tokens for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from quart import Blueprint

from app.features.identity.errors import BadRefreshToken
from app.features.identity.service import renewal, tokens
from app.features.identity.service.token_pairs import Pair
from app.features.identity.visitors import visitor
from app.web import KIB, MINUTE, PUBLIC, Limit, endpoint, resources

routes = Blueprint("tokens", __name__, url_prefix="/api/v1/auth/token")

# Each answer is for one caller once; a stored one would hold the secret.
# Nothing can be guessed here: a refresh token holds a seal of 256 bits. The limit is on work.
RENEWING = PUBLIC.but(limits=(Limit(300, MINUTE),), body=8 * KIB, idempotency=False)
SECRET = {"Cache-Control": "no-store"}


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
    return "", 204, SECRET


def _answer(pair: Pair) -> tuple[Tokens, int, dict[str, str]]:
    return Tokens(pair.access_token, pair.refresh_token, pair.expires_in), 200, SECRET
