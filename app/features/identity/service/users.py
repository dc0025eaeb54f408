"""What administrators do with users; those at a terminal, too, who stand behind no user themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from app.core.database import Database, Row
from app.core.queue import Event
from app.core.resources import Resources
from app.features.identity.addresses import address_of
from app.features.identity.errors import EmailTaken, LastAdmin, NoSuchUser
from app.features.identity.events import (
    PASSWORD_CHANGED,
    ROLE_CHANGED,
    SESSIONS_REVOKED,
    USER_ACTIVATED,
    USER_CHANGED,
    USER_CREATED,
    USER_DEACTIVATED,
    Act,
)
from app.features.identity.hashing import hashing_of
from app.features.identity.models import Role, User, Visitor
from app.features.identity.passwords import judge
from app.features.identity.repository import administration as rows
from app.features.identity.repository.users import select_user, update_password
from app.features.identity.service.audit import NOWHERE, record
from app.features.identity.service.ending import end_everything
from app.features.identity.service.mails import notify
from app.features.identity.service.people import user_of
from app.features.identity.tasks import Notice

NEWEST = rows.NEWEST

# PostgreSQL stores every character but one.
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


@dataclass(frozen=True)
class UserChange:
    """What stays as it is, is left out."""

    name: Name | None = None
    role: Role | None = None
    is_active: bool | None = None

    @property
    def takes_power(self) -> bool:
        return self.role is Role.USER or self.is_active is False


async def list_users(db: Database, *, prefix: str, before: UUID, limit: int) -> list[User]:
    """Newest first, those whose address begins like this."""
    found = await rows.select_users(db, prefix=prefix.strip().lower(), before=before, most=limit)
    return [user_of(row) for row in found]


async def show_user(db: Database, user_id: UUID) -> User:
    """Raises `NoSuchUser`."""
    row = await select_user(db, user_id)
    if row is None:
        raise NoSuchUser
    return user_of(row)


async def find_user(db: Database, email: str) -> User:
    """Raises `NoSuchUser`."""
    row = await rows.select_user_of_email(db, email.strip().lower())
    if row is None:
        raise NoSuchUser(f"There is no user {email}.")
    return user_of(row)


async def create_user(
    resources: Resources, *, email: str, name: str, password: str, role: Role, by: UUID | None = None
) -> User:
    """Whose address needs no mail: whoever calls this knows it. Raises `EmailTaken` and `ValidationFailed`."""
    email, db = address_of(email), resources.database
    await judge(resources, password, about=(email, name))
    password_hash = await hashing_of(resources).hash(password)
    async with db.transaction():
        made = await rows.insert_verified_user(db, email=email, name=name, password_hash=password_hash, role=role)
        if made is None:
            raise EmailTaken
        await record(resources, USER_CREATED, made, by=by, about=role)
    return await show_user(db, made)


async def change_user(
    resources: Resources, user_id: UUID, change: UserChange, *, by: UUID | None, visitor: Visitor = NOWHERE
) -> User:
    """Raises `NoSuchUser`, and `LastAdmin` where nobody could administrate any more.

    Deactivation ends all sign-ins at once; a role that changes closes the sockets, which were opened with the old one.
    """
    db = resources.database
    async with db.transaction():
        # Before the user's own row, so that everybody takes the locks in the same order.
        admins = await rows.lock_admins(db) if change.takes_power else set()
        before = await rows.lock_user(db, user_id)
        if before is None:
            raise NoSuchUser
        if admins == {user_id}:
            raise LastAdmin
        events = await _apply(resources, user_id, before, change)
        for event, about in events.items():
            await record(resources, event, user_id, by=by, visitor=visitor, about=about)
    if events.keys() & {USER_DEACTIVATED, ROLE_CHANGED}:
        await resources.realtime.disconnect(str(user_id))
    return await show_user(db, user_id)


async def end_sign_ins(resources: Resources, user_id: UUID, *, by: UUID | None, visitor: Visitor = NOWHERE) -> None:
    """Sessions and tokens end, and sockets are closed; API keys hold. Raises `NoSuchUser`."""
    async with resources.database.transaction():
        if await rows.lock_user(resources.database, user_id) is None:
            raise NoSuchUser
        await end_everything(resources, user_id)
        await record(resources, SESSIONS_REVOKED, user_id, by=by, visitor=visitor, about="all")
    await resources.realtime.disconnect(str(user_id))


async def set_password(resources: Resources, user: User, password: str) -> None:
    """For who has lost it, and the mailbox too; ends all sign-ins. Raises `ValidationFailed`."""
    await judge(resources, password, about=(user.email, user.name))
    password_hash = await hashing_of(resources).hash(password)
    async with resources.database.transaction():
        await update_password(resources.database, user.id, password_hash)
        await end_everything(resources, user.id)
        await record(resources, PASSWORD_CHANGED, user.id, by=None)
        await notify(resources, user.id, about=Notice.PASSWORD_CHANGED)
    await resources.realtime.disconnect(str(user.id))


async def _apply(resources: Resources, user_id: UUID, before: Row, change: UserChange) -> dict[Event[Act], str]:
    """Write what differs, and give the events that tell of it."""
    name = before["name"] if change.name is None else change.name
    role = Role(before["role"]) if change.role is None else change.role
    is_active = before["is_active"] if change.is_active is None else change.is_active
    await rows.change_user(resources.database, user_id, name=name, role=role, is_active=is_active)
    if before["is_active"] and not is_active:
        await end_everything(resources, user_id)
    activity = USER_ACTIVATED if is_active else USER_DEACTIVATED
    return {
        **({USER_CHANGED: "name"} if name != before["name"] else {}),
        **({ROLE_CHANGED: role.value} if role != before["role"] else {}),
        **({activity: ""} if is_active != before["is_active"] else {}),
    }
