"""A person who has signed in chooses another password."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_urlsafe
from uuid import UUID

from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.features.identity.events import PASSWORD_CHANGED
from app.features.identity.hashing import hashing_of
from app.features.identity.models import Visitor
from app.features.identity.passwords import judge
from app.features.identity.repository.sessions import renew_session
from app.features.identity.repository.users import update_password
from app.features.identity.service.audit import record
from app.features.identity.service.ending import end_everything
from app.features.identity.service.mails import notify
from app.features.identity.service.sessions import BYTES, Opened, hashed
from app.features.identity.service.sign_in import confirm, reauthenticate
from app.features.identity.tasks import Notice


@dataclass(frozen=True)
class Change:
    """The password so far, and the one that is to be."""

    current: str
    new: str


async def change_password(
    resources: Resources, visitor: Visitor, user_id: UUID, session_id: UUID | None, change: Change
) -> Opened | None:
    """All sign-ins end but this browser's, which goes on under a new cookie; None where it is no browser that asks.

    Whoever has copied the cookie is out, too. Raises `PasswordWrong`, `TooManyTries`, `HashingBusy`,
    `ValidationFailed`, and `Unauthorized` where the session has ended meanwhile.
    """
    proven = await reauthenticate(resources, visitor, user_id, change.current)
    user = proven.user
    await judge(resources, change.new, about=(user.email, user.name), field="new")
    new_hash = await hashing_of(resources).hash(change.new)
    async with resources.database.transaction():
        await confirm(resources, proven)
        await update_password(resources.database, user_id, new_hash)
        await end_everything(resources, user_id, but_session=session_id)
        opened = await _renew(resources, session_id) if session_id else None
        await record(resources, PASSWORD_CHANGED, user_id, by=user_id, visitor=visitor, about=session_id or "")
        await notify(resources, user_id, about=Notice.PASSWORD_CHANGED)
    # One word for all of the user's sockets: they may be of very many tokens. This browser's come back by themselves.
    await resources.realtime.disconnect(str(user_id))
    return opened


async def _renew(resources: Resources, session_id: UUID) -> Opened:
    cookie, csrf_token = token_urlsafe(BYTES), token_urlsafe(BYTES)
    left = await renew_session(resources.database, session_id, token_hash=hashed(cookie), csrf_token=csrf_token)
    if left is None:
        raise Unauthorized  # nobody who was signed out meanwhile changes a password
    return Opened(cookie, csrf_token, left)
