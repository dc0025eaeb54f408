"""New tokens for a refresh token, which is used once.

Its reuse shows that two hold it, and as nobody can tell which of them is the thief, their sign-in ends (RFC 9700,
4.14.2). A program whose answer was lost asks again, too, at once: it gets the answer that it has missed.
"""

from __future__ import annotations

from enum import Enum
from uuid import UUID

from app.core.database import Row, RowNotFound
from app.core.resources import Resources
from app.features.identity.errors import BadRefreshToken
from app.features.identity.events import TOKEN_REUSED
from app.features.identity.models import Visitor
from app.features.identity.repository import tokens as repository
from app.features.identity.repository.sessions import lock_user
from app.features.identity.service import tokens
from app.features.identity.service.token_pairs import Pair, jti_of, pair_of


class _Refusal(Enum):
    """Why there are no new tokens."""

    OVER = "revoked, expired, or of somebody who was deactivated"
    REUSED = "used before"


async def renew(resources: Resources, visitor: Visitor, refresh_token: str) -> Pair:
    """Raises `BadRefreshToken`, after the end of its family where it was used before."""
    jti = jti_of(resources.settings.jwt, refresh_token)
    found = jti and await repository.select_family(resources.database, jti)
    if not jti or not found:
        raise BadRefreshToken
    user_id, family_id = found["user_id"], found["family_id"]
    # Nothing is raised inside: it would undo the end of the family.
    async with resources.database.transaction():
        outcome = await _judge(resources, jti, user_id)
        if outcome is _Refusal.REUSED:
            await tokens.end_family(resources, TOKEN_REUSED, visitor, user_id, family_id)
    if outcome is _Refusal.REUSED:
        await tokens.close_sockets(resources, user_id, family_id)
    if isinstance(outcome, _Refusal):
        raise BadRefreshToken
    return outcome


async def _judge(resources: Resources, jti: UUID, user_id: UUID) -> Pair | _Refusal:
    """Needs the caller's transaction. The user is locked first, as by whatever ends all that they have."""
    db, settings = resources.database, resources.settings.jwt
    owner = await lock_user(db, user_id)
    used = await repository.lock_refresh_token(db, jti, retry_window=settings.retry_window)
    if owner is None or not owner["is_active"] or used is None:
        return _Refusal.OVER
    if not used["revoked"]:
        return await _successor(resources, jti, user_id, used)
    return await _again(resources, used)


async def _successor(resources: Resources, jti: UUID, user_id: UUID, used: Row) -> Pair:
    """The one new pair; it ends when the sign-in does, however often it is renewed."""
    db, settings = resources.database, resources.settings.jwt
    until = used["expires_at"]
    successor = await repository.insert_pair(
        db, user_id=user_id, family_id=used["family_id"], settings=settings, until=until
    )
    await repository.replace_refresh_token(db, jti, successor=successor)
    return pair_of(settings, await repository.select_pair(db, successor))


async def _again(resources: Resources, used: Row) -> Pair | _Refusal:
    """A token that is not new any more: the same answer once more, or the end."""
    if used["replaced_by"] is None:
        return _Refusal.OVER  # it was given back, or ended with all others
    if not used["just_now"]:
        return _Refusal.REUSED
    try:
        pair = await repository.select_pair(resources.database, used["replaced_by"])
    except RowNotFound:
        return _Refusal.OVER  # its access token has expired within the window, and is swept
    # Whoever has used the successor has had the answer. One that was revoked otherwise has no family left to end.
    return _Refusal.REUSED if pair["revoked"] else pair_of(resources.settings.jwt, pair)
