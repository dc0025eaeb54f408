"""Section `jwt`: the tokens that this service issues to programs."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare
from app.core.settings.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """Tokens that this service issues."""

    secret: Secret = declare.secret("Signs access and refresh tokens.", shortest=32)
    previous_secret: Secret = declare.optional_secret(
        "The secret before the present one, whose tokens still hold; for the time of a change.", shortest=32
    )
    issuer: str = declare.name("plinth", 255, "Claim `iss` of the access tokens; tokens of another issuer are refused.")
    audience: str = declare.name(
        "plinth", 255, "Claim `aud` of the access tokens; tokens for another audience are refused."
    )
    access_lifetime: float = declare.seconds(900.0, 1, 86_400, "How long an access token holds.")
    refresh_lifetime: float = declare.seconds(
        2_592_000.0, 1, 31_536_000, "How long after the sign-in access tokens can be renewed without the password."
    )
    retry_window: float = declare.seconds(
        10.0,
        0,
        60,
        "A refresh token that is used again within so long gives the same successor, as its answer may have been "
        "lost; used later it revokes all tokens of its sign-in.",
    )
