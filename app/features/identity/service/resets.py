"""A new password for those who have forgotten theirs and can read their mail.

Whether the address is a user's is looked up by the task that writes the mail, as with registering.
"""

from __future__ import annotations

from uuid import UUID

from app.core.resources import Resources
from app.features.identity import passwords, throttle
from app.features.identity.addresses import address_of
from app.features.identity.errors import BadToken
from app.features.identity.events import PASSWORD_RESET, PASSWORD_RESET_ASKED
from app.features.identity.hashing import hashing_of
from app.features.identity.models import Visitor
from app.features.identity.repository import resets
from app.features.identity.repository.users import update_password
from app.features.identity.sealing import seal, secrets_in_force, unseal
from app.features.identity.service import mails
from app.features.identity.service.audit import record
from app.features.identity.service.ending import end_everything
from app.features.identity.tasks import PREPARE_RESET, SEND_RESET, Forgotten, Notice, ResetMail

PURPOSE = "reset"
ABOUT = "A new password"
LIFETIME = 30 * 60.0  # seconds; ASVS 5.0, 6.4.1 and 6.5.5: minutes for what stands in for a password


async def ask(resources: Resources, visitor: Visitor, *, email: str) -> str:
    """The address that a mail goes to, if it is a user's. Raises `ValidationFailed` and `TooManyMails`."""
    address = address_of(email)
    await throttle.try_mail(resources, address, visitor.address)
    async with resources.database.transaction():
        await resources.queue.enqueue(PREPARE_RESET, Forgotten(address, visitor.address))
    return address


async def prepare(resources: Resources, asked: Forgotten) -> None:
    """Nothing for strangers, nor for those who may not sign in.

    Needs the open transaction in which its task ends: run again, it would bring a token back that was used.
    """
    db = resources.database
    user = await resets.select_user_to_reset(db, asked.email)
    if user is None:
        return
    user_id: UUID = user["id"]
    made = await resets.insert_reset(db, user_id, lifetime=LIFETIME) if user["has_password"] else None
    await resources.queue.enqueue(SEND_RESET, ResetMail(user_id, made))
    await record(resources, PASSWORD_RESET_ASKED, user_id, by=None, visitor=Visitor(asked.asked_from))


async def send_reset(resources: Resources, mail_id: str, waiting: ResetMail) -> None:
    """The token, the same in every try; nothing once it was used or is too old."""
    if waiting.reset_id is None:
        await mails.send_to(resources, mail_id, waiting.user_id, about=ABOUT, text=mails.nothing_to_reset())
    elif await resets.select_reset(resources.database, waiting.reset_id):
        token = seal(resources.settings.session.secret, PURPOSE, waiting.reset_id)
        await mails.send_to(resources, mail_id, waiting.user_id, about=ABOUT, text=mails.reset(resources, token))


async def reset(resources: Resources, visitor: Visitor, *, token: str, new: str) -> None:
    """Ends all sign-ins; the second factor stays. Raises `BadToken`, `ValidationFailed` and `HashingBusy`."""
    db = resources.database
    reset_id = unseal(secrets_in_force(resources.settings.session), PURPOSE, token)
    user = await resets.select_reset(db, reset_id) if reset_id else None
    if reset_id is None or user is None:
        raise BadToken
    user_id: UUID = user["id"]
    await passwords.judge(resources, new, about=(user["email"], user["name"]), field="new")
    password_hash = await hashing_of(resources).hash(new)
    async with db.transaction():
        if not await resets.take_resets(db, reset_id, user_id):  # used, while the password was hashed
            raise BadToken
        await update_password(db, user_id, password_hash)
        await end_everything(resources, user_id)
        await record(resources, PASSWORD_RESET, user_id, by=user_id, visitor=visitor)
        await mails.notify(resources, user_id, about=Notice.PASSWORD_RESET)
    await resources.realtime.disconnect(str(user_id))
