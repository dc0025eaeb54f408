"""Access and refresh tokens: given out to whoever has proved who they are, asked for at every request, given back.

All that descend from one sign-in are a family, which ends as one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.callers import Caller
from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.ids import new_id
from app.core.queue import Event
from app.core.resources import Resources
from app.features.identity.events import TOKENS_ISSUED, TOKENS_REVOKED, Act
from app.features.identity.models import Proof, Visitor, credential
from app.features.identity.repository import tokens as repository
from app.features.identity.repository.sessions import lock_user
from app.features.identity.service import access_tokens
from app.features.identity.service.audit import record
from app.features.identity.service.people import is_complete
from app.features.identity.service.sign_in import Proven, confirm
from app.features.identity.service.token_pairs import Pair, jti_of, pair_of


async def caller_of(resources: Resources, token: str) -> Caller:
    """Whose access token this is; one statement. Raises `Unauthorized`."""
    read = access_tokens.read(resources.settings.jwt, token, resources.clock.now())
    row = await repository.select_bearer(resources.database, read.jti, read.user_id, read.family_id)
    if row is None:
        raise Unauthorized
    name = credential(Proof.TOKEN, row["family_id"])
    complete = is_complete(resources.settings.session, row)
    return Caller(str(row["id"]), row["role"], credential=name, expires_at=row["expires_at"], complete=complete)


async def holding(db: Database, ids: Sequence[UUID]) -> Collection[UUID]:
    """Those families of which a token still holds; one statement."""
    return await repository.select_holding_families(db, ids)


async def issue(resources: Resources, proven: Proven, visitor: Visitor) -> Pair:
    """A sign-in, and so a family of its own. Raises `SignInFailed` where the proof holds no more."""
    db, settings, user_id, family_id = resources.database, resources.settings.jwt, proven.user.id, new_id()
    async with db.transaction():
        await confirm(resources, proven)
        jti = await repository.insert_pair(db, user_id=user_id, family_id=family_id, settings=settings)
        pair = await repository.select_pair(db, jti)
        await record(resources, TOKENS_ISSUED, user_id, by=user_id, visitor=visitor, about=family_id)
    return pair_of(settings, pair)


async def revoke(resources: Resources, visitor: Visitor, token: str) -> None:
    """End the family of an access or refresh token, expired ones too; anything else is none of ours (RFC 7009, 2.2)."""
    jti = jti_of(resources.settings.jwt, token) or _jti_of_access(resources, token)
    found = jti and await repository.select_family(resources.database, jti)
    if not found:
        return
    user_id, family_id = found["user_id"], found["family_id"]
    async with resources.database.transaction():
        await lock_user(resources.database, user_id)
        await end_family(resources, TOKENS_REVOKED, visitor, user_id, family_id)
    await close_sockets(resources, user_id, family_id)


async def end_family(resources: Resources, why: Event[Act], visitor: Visitor, user_id: UUID, family_id: UUID) -> None:
    """Needs the caller's transaction, with the user locked: else a pair that is being made would outlive the family.

    Recorded once, however often it is asked for.
    """
    if await repository.revoke_family(resources.database, family_id):
        await record(resources, why, user_id, by=user_id, visitor=visitor, about=family_id)


async def close_sockets(resources: Resources, user_id: UUID, family_id: UUID) -> None:
    """Those that a family has opened, on every instance; after the commit that ended it."""
    await resources.realtime.disconnect(str(user_id), credential(Proof.TOKEN, family_id))


def _jti_of_access(resources: Resources, token: str) -> UUID | None:
    try:
        return access_tokens.read_any(resources.settings.jwt, token).jti
    except Unauthorized:
        return None
