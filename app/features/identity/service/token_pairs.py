"""A refresh token and the access token beside it, as the program gets them.

All that they say comes from their rows: made again, they are the same texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.database import Row
from app.core.settings.sections import Jwt
from app.features.identity.sealing import seal, secrets_in_force, unseal
from app.features.identity.service.access_tokens import AccessToken, sign

PURPOSE = "refresh"


@dataclass(frozen=True)
class Pair:
    """`expires_in`: whole seconds that the access token holds, counted from when it was first given out."""

    access_token: str
    refresh_token: str
    expires_in: int


def pair_of(settings: Jwt, row: Row) -> Pair:
    """`row` is one of `select_pair`."""
    access = AccessToken(row["access_jti"], row["user_id"], row["family_id"], row["issued_at"], row["expires_at"])
    return Pair(sign(settings, access), seal(settings.secret, PURPOSE, row["jti"]), access.lifetime)


def jti_of(settings: Jwt, refresh_token: str) -> UUID | None:
    """What a refresh token of ours names; None for anything else. Says nothing of whether it holds."""
    return unseal(secrets_in_force(settings), PURPOSE, refresh_token)
