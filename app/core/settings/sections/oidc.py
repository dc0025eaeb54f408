"""Section `oidc`: an OpenID provider whose tokens are taken, too."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """Tokens that another issuer signs."""

    issuer: str = declare.http_url(
        "The OpenID provider (Zitadel or any other) whose bearer tokens are taken; empty for none."
    )
    audience: str = declare.line(
        "", 255, "Claim `aud` that its tokens must have: this service, as the provider knows it."
    )
    client_id: str = declare.line("", 255, "Where given, only tokens that were issued to this client are taken.")
    keys_max_age: float = declare.seconds(
        300.0, 1, 86_400, "The provider's keys are fetched again after so long, or when a token names an unknown one."
    )
    timeout: float = declare.seconds(5.0, 0.1, 60, "The provider has to answer within this time.")
