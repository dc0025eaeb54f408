"""The second factor, asked for at sign-in: codes of the app and recovery codes, each taken once."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.core.database import Row
from app.core.resources import Resources
from app.features.identity.errors import (
    NoSecondFactor,
    SecondFactorNeeded,
    SecondFactorThere,
    SignInFailed,
    TooManyTries,
    WrongCode,
)
from app.features.identity.events import RECOVERY_CODE_USED, SIGN_IN_FAILED
from app.features.identity.models import User, Visitor
from app.features.identity.recovery_codes import recovery_code_hash
from app.features.identity.repository import second_factors as rows
from app.features.identity.sealing import Undecipherable, decrypt, encrypt
from app.features.identity.service.audit import record
from app.features.identity.service.mails import notify
from app.features.identity.tasks import Notice
from app.features.identity.totp import step_of

log = structlog.get_logger(__name__)


async def check_second_factor(resources: Resources, user: User, visitor: Visitor, code: str | None) -> None:
    """The second half of a sign-in, once the password was right.

    Raises `SecondFactorNeeded`, `SignInFailed` and `TooManyTries`; does nothing for those who have no second factor.
    """
    if not user.second_factor:
        return
    if code is None:
        raise SecondFactorNeeded(details={"second_factor": "required"})
    try:
        await take_code(resources, visitor, user.id, code)
    except (WrongCode, NoSecondFactor) as error:  # none: it was removed while the password was checked
        async with resources.database.transaction():
            await record(resources, SIGN_IN_FAILED, user.id, by=None, visitor=visitor, about="second_factor")
        raise SignInFailed(WrongCode().message, details={"second_factor": "wrong"}) from error


async def take_code(resources: Resources, visitor: Visitor, user_id: UUID, code: str) -> None:
    """Of the app or for recovery, and never again. Raises `WrongCode`, `NoSecondFactor` and `TooManyTries`."""
    found = await take_try(resources, user_id, confirmed=True)
    if not (
        await _spend_step(resources, user_id, found, code)
        or await _spend_recovery_code(resources, visitor, user_id, code)
    ):
        raise WrongCode


async def take_try(resources: Resources, user_id: UUID, *, confirmed: bool) -> Row:
    """The second factor that a code may be tried against, once.

    Wherever it comes from: who has got as far as this knows the password, or holds a session. Raises
    `NoSecondFactor`, `SecondFactorThere` where one that waits for its first code was meant, and `TooManyTries`.
    """
    found = await rows.take_try(resources.database, user_id, confirmed=confirmed)
    if found is not None:
        return found
    there = await rows.select_wait(resources.database, user_id)
    if there is None or (confirmed and not there["confirmed"]):
        raise NoSecondFactor
    if there["confirmed"] and not confirmed:
        raise SecondFactorThere
    raise TooManyTries(retry_after=max(1, there["seconds"] or 0))


async def _spend_step(resources: Resources, user_id: UUID, found: Row, code: str) -> bool:
    """A code of this time, or of a step beside it, that is later than any that was taken (RFC 6238, 5.2)."""
    secret = secret_of(resources, user_id, found)
    step = step_of(secret, code, resources.clock.now()) if secret else None
    if secret is None or step is None:
        return False
    sealed = encrypted(resources, secret)  # anew, so that it follows a change of session.secret
    return await rows.spend_step(
        resources.database, user_id, confirmed_at=found["confirmed_at"], step=step, secret=sealed
    )


async def _spend_recovery_code(resources: Resources, visitor: Visitor, user_id: UUID, code: str) -> bool:
    hashed, db = recovery_code_hash(code), resources.database
    if hashed is None:
        return False
    async with db.transaction():
        if not await rows.spend_recovery_code(db, user_id, hashed):
            return False
        await rows.forget_failures(db, user_id)
        await record(resources, RECOVERY_CODE_USED, user_id, by=user_id, visitor=visitor)
        await notify(resources, user_id, about=Notice.RECOVERY_CODE_USED)
    return True


def encrypted(resources: Resources, secret: str) -> bytes:
    return encrypt(resources.settings.session, secret.encode())


def secret_of(resources: Resources, user_id: UUID, found: Row) -> str | None:
    """None where `session.secret` has changed and nobody has said what it was before: recovery codes still hold."""
    try:
        return decrypt(resources.settings.session, found["secret"]).decode()
    except Undecipherable:
        log.error("second_factor_unreadable", user_id=str(user_id))  # noqa: TRY400  (a trace would say no more)
        return None
