"""`/api/v1/auth/password`: Changing a password, and choosing a new one when it is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from quart import Blueprint

from app.features.identity.cookies import keeping
from app.features.identity.credentials import NO_STORE, session_id, user_id
from app.features.identity.errors import CsrfRefused, HashingBusy, PasswordWrong, TooManyTries
from app.features.identity.service.password_change import Change, change_password
from app.features.identity.visitors import visitor
from app.web import KIB, SIGNED_IN, current_caller, endpoint, resources

routes = Blueprint("passwords", __name__, url_prefix="/api/v1/auth/password")


@dataclass(frozen=True)
class NewPassword:
    """The password so far, and another one."""

    current: Annotated[str, Meta(min_length=1, max_length=1024)]
    new: Annotated[str, Meta(min_length=12, max_length=1024)]


@dataclass(frozen=True)
class Changed:
    """The CSRF token of this browser's session from now on; null for a program, whose token is over."""

    csrf_token: str | None


@routes.post("")
@endpoint(
    SIGNED_IN.but(body=16 * KIB, idempotency=False),
    answers={200: Changed},
    errors=(PasswordWrong, CsrfRefused, TooManyTries, HashingBusy),
)
async def change(body: NewPassword) -> tuple[Changed, int, dict[str, str]]:
    """Choose another password.

    All sessions and tokens of the user end; this browser goes on with a new cookie and a new CSRF token. API keys
    stay.
    """
    caller = current_caller()
    wanted = Change(body.current, body.new)
    opened = await change_password(resources(), visitor(), user_id(caller), session_id(caller), wanted)
    if opened is None:
        return Changed(None), 200, NO_STORE
    return Changed(opened.csrf_token), 200, NO_STORE | keeping(opened.cookie, opened.seconds)
