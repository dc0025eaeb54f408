"""The second factor, added, confirmed and removed by the person it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.resources import Resources
from app.features.identity.errors import NoSecondFactor, SecondFactorThere, WrongCode
from app.features.identity.events import RECOVERY_CODES_MADE, SECOND_FACTOR_ADDED, SECOND_FACTOR_REMOVED
from app.features.identity.models import Visitor
from app.features.identity.passwords import check_length
from app.features.identity.recovery_codes import new_recovery_codes, recovery_code_hash
from app.features.identity.repository import second_factors as rows
from app.features.identity.repository.users import select_user
from app.features.identity.service.audit import NOWHERE, record
from app.features.identity.service.mails import notify
from app.features.identity.service.second_factor import encrypted, secret_of, take_code, take_try
from app.features.identity.service.sign_in import reauthenticate
from app.features.identity.tasks import Notice
from app.features.identity.totp import enrolment_uri, new_secret, step_of


@dataclass(frozen=True)
class NewSecondFactor:
    """What an authenticator app needs, as text and as what a QR code shows; both are told this once."""

    secret: str
    uri: str


@dataclass(frozen=True)
class SecondFactorState:
    """Whether a code is asked for at sign-in, and how many recovery codes are left."""

    confirmed: bool
    recovery_codes_left: int


async def tell_state(resources: Resources, user_id: UUID) -> SecondFactorState:
    row = await rows.select_state(resources.database, user_id)
    return SecondFactorState(bool(row["confirmed"]), row["codes_left"])


async def begin(resources: Resources, visitor: Visitor, user_id: UUID, *, password: str) -> NewSecondFactor:
    """It is not asked for before its first code has come. Raises `SecondFactorThere`, and what `reauthenticate` does.

    An earlier one that still waits for its first code is replaced.
    """
    await _prove_again(resources, visitor, user_id, password)
    db, secret = resources.database, new_secret()
    if not await rows.upsert_secret(db, user_id, encrypted(resources, secret)):
        raise SecondFactorThere
    user = await select_user(db, user_id)
    account = user["email"] if user else ""
    return NewSecondFactor(secret, enrolment_uri(secret, account=account, issuer=resources.settings.app.name))


async def confirm(resources: Resources, visitor: Visitor, user_id: UUID, *, code: str) -> list[str]:
    """The recovery codes. Raises `NoSecondFactor`, `SecondFactorThere`, `WrongCode` and `TooManyTries`."""
    found = await take_try(resources, user_id, confirmed=False)
    secret = secret_of(resources, user_id, found)
    step = step_of(secret, code, resources.clock.now()) if secret else None
    if secret is None or step is None:
        raise WrongCode
    db, sealed, codes = resources.database, encrypted(resources, secret), new_recovery_codes()
    async with db.transaction():
        if not await rows.confirm(db, user_id, old_secret=found["secret"], step=step, secret=sealed):
            raise WrongCode  # another request was quicker: to confirm it, or to begin anew
        await record(resources, SECOND_FACTOR_ADDED, user_id, by=user_id, visitor=visitor)
        await notify(resources, user_id, about=Notice.SECOND_FACTOR_ADDED)
        await _store_recovery_codes(resources, visitor, user_id, codes)
    return codes


async def renew_recovery_codes(
    resources: Resources, visitor: Visitor, user_id: UUID, *, password: str, code: str
) -> list[str]:
    """New ones; the old ones are void. Raises `NoSecondFactor`, `WrongCode` and what `reauthenticate` does."""
    await _prove_again(resources, visitor, user_id, password)
    await take_code(resources, visitor, user_id, code)
    codes = new_recovery_codes()
    async with resources.database.transaction():
        await _store_recovery_codes(resources, visitor, user_id, codes)
    return codes


async def remove(resources: Resources, visitor: Visitor, user_id: UUID, *, password: str, code: str) -> None:
    """Needs both factors. Raises `NoSecondFactor`, `WrongCode` and what `reauthenticate` does."""
    await _prove_again(resources, visitor, user_id, password)
    await take_code(resources, visitor, user_id, code)
    await switch_off(resources, user_id, by=user_id, visitor=visitor)


async def switch_off(
    resources: Resources, user_id: UUID, *, by: UUID | None = None, visitor: Visitor = NOWHERE
) -> None:
    """Without a code, for who has lost them all: the caller has made sure who that is. Raises `NoSecondFactor`."""
    async with resources.database.transaction():
        if not await rows.delete_factor(resources.database, user_id):
            raise NoSecondFactor
        await record(resources, SECOND_FACTOR_REMOVED, user_id, by=by, visitor=visitor)
        await notify(resources, user_id, about=Notice.SECOND_FACTOR_REMOVED)


async def _prove_again(resources: Resources, visitor: Visitor, user_id: UUID, password: str) -> None:
    check_length(password)
    await reauthenticate(resources, visitor, user_id, password)


async def _store_recovery_codes(resources: Resources, visitor: Visitor, user_id: UUID, codes: list[str]) -> None:
    hashes = [hashed for code in codes if (hashed := recovery_code_hash(code))]
    await rows.replace_recovery_codes(resources.database, user_id, hashes)
    await record(resources, RECOVERY_CODES_MADE, user_id, by=user_id, visitor=visitor)
