"""Registering: nobody is a user before they have read the mail that was sent to their address.

Whether the address is a user's is looked up by the task that writes the mail. Until then everything is the same for all
addresses, so that neither the answer nor its time tells who is here (ASVS 5.0, 6.3.8).
"""

from __future__ import annotations

from uuid import UUID

from app.core.resources import Resources
from app.features.identity import passwords, throttle
from app.features.identity.addresses import address_of
from app.features.identity.errors import BadToken
from app.features.identity.events import EMAIL_VERIFIED, REGISTERED
from app.features.identity.hashing import hashing_of
from app.features.identity.models import User, Visitor
from app.features.identity.repository import registrations
from app.features.identity.repository.users import select_user
from app.features.identity.sealing import seal, secrets_in_force, unseal
from app.features.identity.service import mails
from app.features.identity.service.audit import record
from app.features.identity.service.people import user_of
from app.features.identity.tasks import SEND_VERIFICATION, VerificationMail

PURPOSE = "verify"
LIFETIME = 24 * 3600.0  # seconds; ASVS 5.0, 6.4.1 asks for a short one, and a mail may lie overnight


async def register(resources: Resources, visitor: Visitor, *, email: str, password: str, name: str) -> str:
    """The address that a mail goes to. Raises `ValidationFailed`, `TooManyMails` and `HashingBusy`."""
    address, name = address_of(email), name.strip()
    await passwords.judge(resources, password, about=(address, name), field="password")
    await throttle.try_mail(resources, address, visitor.address)
    password_hash = await hashing_of(resources).hash(password)
    db = resources.database
    async with db.transaction():
        made = await registrations.insert_registration(
            db, email=address, name=name, password_hash=password_hash, lifetime=LIFETIME
        )
        await resources.queue.enqueue(SEND_VERIFICATION, VerificationMail(made))
        await record(resources, REGISTERED, made, by=None, visitor=visitor, about=made, known=False)
    return address


async def send_verification(resources: Resources, mail_id: str, registration_id: UUID) -> None:
    """The token, or to whom the address belongs already that somebody asked; nothing for what is over."""
    found = await registrations.select_registration(resources.database, registration_id)
    if found is None:
        return
    to, asked_at = found["email"], found["created_at"]
    if found["is_taken"]:
        text = mails.already_registered(asked_at)
        await mails.send(resources, mail_id, to=to, about="You have an account already", text=text)
        return
    token = seal(resources.settings.session.secret, PURPOSE, registration_id)
    text = mails.verification(resources, token, asked_at=asked_at)
    await mails.send(resources, mail_id, to=to, about="Confirm your e-mail address", text=text)


async def verify(resources: Resources, visitor: Visitor, token: str) -> User:
    """Makes the user, with the password of that registration and no other. Raises `BadToken`."""
    registration_id = unseal(secrets_in_force(resources.settings.session), PURPOSE, token)
    if registration_id is None:
        raise BadToken
    async with resources.database.transaction():
        user = await _confirm(resources, registration_id)
        await record(resources, EMAIL_VERIFIED, user.id, by=user.id, visitor=visitor)
    return user


async def _confirm(resources: Resources, registration_id: UUID) -> User:
    db = resources.database
    taken = await registrations.take_registrations(db, registration_id)
    if taken is None:
        raise BadToken
    user_id = await registrations.insert_registered_user(
        db, email=taken["email"], name=taken["name"], password_hash=taken["password_hash"]
    )
    row = await select_user(db, user_id) if user_id else None
    if row is None:  # the address was taken in another way meanwhile
        raise BadToken
    return user_of(row)
