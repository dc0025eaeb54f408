"""`/api/v1/auth/second-factor`: The second factor of a sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from quart import Blueprint

from app.features.identity.cookies import keeping
from app.features.identity.credentials import NO_STORE, session_id, user_id
from app.features.identity.errors import NoSecondFactor, PasswordWrong, SecondFactorThere, TooManyTries, WrongCode
from app.features.identity.service import enrolment
from app.features.identity.service.enrolment import NewSecondFactor, SecondFactorState
from app.features.identity.service.sessions import renew_cookie
from app.features.identity.visitors import visitor
from app.web import SIGNED_IN, current_caller, endpoint, resources

routes = Blueprint("second_factor", __name__, url_prefix="/api/v1/auth/second-factor")

OWN = SIGNED_IN.but(completing=True, idempotency=False)

Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Code = Annotated[str, Meta(min_length=6, max_length=64, description="Six digits from the app, or a recovery code.")]


@dataclass(frozen=True)
class OnlyPassword:
    """One's password, once more."""

    password: Password


@dataclass(frozen=True)
class OnlyCode:
    """A code from the app."""

    code: Code


@dataclass(frozen=True)
class BothFactors:
    """One's password and a code."""

    password: Password
    code: Code


@dataclass(frozen=True)
class RecoveryCodes:
    """Each stands in for the app once; they are told this once."""

    recovery_codes: list[str]


@routes.get("")
@endpoint(OWN, answers={200: SecondFactorState})
async def show() -> SecondFactorState:
    """Tell whether one has a second factor."""
    return await enrolment.tell_state(resources(), _caller())


@routes.post("")
@endpoint(OWN, answers={201: NewSecondFactor}, errors=(SecondFactorThere, PasswordWrong, TooManyTries))
async def add(body: OnlyPassword) -> tuple[NewSecondFactor, int, dict[str, str]]:
    """Begin to add a second factor.

    Show `uri` as a QR code to an authenticator app, or type `secret` into it, and confirm with its first code. Until
    then sign-in does not ask for it, and adding begins anew.
    """
    made = await enrolment.begin(resources(), visitor(), _caller(), password=body.password)
    return made, 201, NO_STORE | await _new_cookie()


@routes.post("/confirm")
@endpoint(OWN, answers={200: RecoveryCodes}, errors=(NoSecondFactor, SecondFactorThere, WrongCode, TooManyTries))
async def confirm(body: OnlyCode) -> tuple[RecoveryCodes, int, dict[str, str]]:
    """Confirm the second factor with its first code.

    From now on sign-in asks for one. The recovery codes are for the day on which the app is lost.
    """
    codes = await enrolment.confirm(resources(), visitor(), _caller(), code=body.code)
    return RecoveryCodes(codes), 200, NO_STORE | await _new_cookie()


@routes.post("/recovery-codes")
@endpoint(OWN, answers={200: RecoveryCodes}, errors=(NoSecondFactor, PasswordWrong, WrongCode, TooManyTries))
async def renew_recovery_codes(body: BothFactors) -> tuple[RecoveryCodes, int, dict[str, str]]:
    """Make new recovery codes.

    Those from before are void.
    """
    codes = await enrolment.renew_recovery_codes(
        resources(), visitor(), _caller(), password=body.password, code=body.code
    )
    return RecoveryCodes(codes), 200, NO_STORE | await _new_cookie()


@routes.delete("")
@endpoint(OWN, answers={204: None}, errors=(NoSecondFactor, PasswordWrong, WrongCode, TooManyTries))
async def remove(body: BothFactors) -> tuple[str, int, dict[str, str]]:
    """Remove the second factor, with its recovery codes."""
    await enrolment.remove(resources(), visitor(), _caller(), password=body.password, code=body.code)
    return "", 204, await _new_cookie()


def _caller() -> UUID:
    return user_id(current_caller())


async def _new_cookie() -> dict[str, str]:
    """For a browser, in which the password was just shown again; nothing for a program."""
    session = session_id(current_caller())
    renewed = await renew_cookie(resources(), session) if session else None
    return keeping(*renewed) if renewed else {}
