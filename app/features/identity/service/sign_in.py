"""Whether somebody is who they say: an address, its password, and the second factor where there is one.

Every refusal is the same one and takes as long, so that nobody learns which addresses are known here: an unknown
address costs a hash and an event as a known one does (ASVS 6.3.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

from app.core.database import Row
from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.features.identity import throttle
from app.features.identity.errors import PasswordWrong, SignInFailed
from app.features.identity.events import SIGN_IN_FAILED
from app.features.identity.hashing import hashing_of
from app.features.identity.models import User, Visitor
from app.features.identity.passwords import check_length
from app.features.identity.repository.sessions import lock_user, replace_password_hash
from app.features.identity.repository.users import select_password_hash, select_user, select_user_to_sign_in
from app.features.identity.service.audit import record
from app.features.identity.service.people import user_of
from app.features.identity.service.second_factor import check_second_factor


@dataclass(frozen=True)
class Proven:
    """Somebody whose password was right a moment ago; never part of an answer."""

    user: User
    password_hash: str


async def prove_password(
    resources: Resources, visitor: Visitor, *, email: str, password: str, code: str | None = None
) -> Proven:
    """Who opens a sign-in makes sure of it with `confirm`, inside the transaction that does so.

    Raises `SignInFailed`, `SecondFactorNeeded`, `TooManyTries`, `HashingBusy` and `ValidationFailed`.
    """
    check_length(password)
    email = email.strip().lower()
    await throttle.try_sign_in(resources, email, visitor.address)
    row = await select_user_to_sign_in(resources.database, email)
    known_hash = row["password_hash"] if row else None
    is_right = await hashing_of(resources).verify(known_hash, password)
    if row is None or known_hash is None or not is_right or (reason := _barred(row)):
        raise await _refusal(resources, visitor, email, row, reason if row and is_right else "password")
    user = user_of(row)
    await check_second_factor(resources, user, visitor, code)
    await throttle.signed_in(resources, email, visitor.address)
    return Proven(user, await _renewed(resources, user.id, known_hash, password))


async def confirm(resources: Resources, proven: Proven) -> None:
    """Inside the transaction that opens the sign-in: raises `SignInFailed` where the proof does not hold any more.

    Hashing takes a while. Who has the old password and tries it without a pause while its owner changes it would
    otherwise come in just behind the change, which ends everything that it finds.
    """
    row = await lock_user(resources.database, proven.user.id)
    if row is None or not row["is_active"] or row["password_hash"] != proven.password_hash:
        raise SignInFailed


async def reauthenticate(resources: Resources, visitor: Visitor, user_id: UUID, password: str) -> Proven:
    """Of somebody who has signed in, before what an open browser alone may not do (ASVS 7.5.1).

    Raises `PasswordWrong`, `TooManyTries`, `HashingBusy` and `ValidationFailed`.
    """
    check_length(password, field="current")
    row = await select_user(resources.database, user_id)
    if row is None or not row["is_active"]:
        raise Unauthorized
    await throttle.try_sign_in(resources, row["email"], visitor.address)
    known_hash = await select_password_hash(resources.database, user_id)
    if not await hashing_of(resources).verify(known_hash, password) or known_hash is None:
        await _note_failure(resources, visitor, user_id, "reauthentication")
        raise PasswordWrong
    await throttle.signed_in(resources, row["email"], visitor.address)
    return Proven(user_of(row), known_hash)


def stand_in(email: str) -> UUID:
    """For an address that nobody has: what is written down about it is written in the same way, and as fast."""
    return uuid5(NAMESPACE_URL, f"mailto:{email}")


def _barred(row: Row) -> str:
    """Why the right password does not do; empty where it does."""
    if not row["is_active"]:
        return "inactive"
    return "" if row["email_verified"] else "unverified"


async def _refusal(resources: Resources, visitor: Visitor, email: str, row: Row | None, reason: str) -> SignInFailed:
    known = row is not None
    await _note_failure(resources, visitor, row["id"] if row else stand_in(email), reason, known=known)
    return SignInFailed()


async def _note_failure(
    resources: Resources, visitor: Visitor, user_id: UUID, reason: str, *, known: bool = True
) -> None:
    async with resources.database.transaction():
        await record(resources, SIGN_IN_FAILED, user_id, by=None, visitor=visitor, about=reason, known=known)


async def _renewed(resources: Resources, user_id: UUID, password_hash: str, password: str) -> str:
    """The hash in force, made anew where the parameters have risen since: only now is the password at hand."""
    hashing = hashing_of(resources)
    if not hashing.is_outdated(password_hash):
        return password_hash
    new_hash = await hashing.hash(password)
    replaced = await replace_password_hash(resources.database, user_id, old=password_hash, new=new_hash)
    return new_hash if replaced else password_hash
