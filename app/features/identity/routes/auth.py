"""`/api/v1/auth`: Registering, signing in and out, and who one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from quart import Blueprint, request

from app.features.identity import csrf
from app.features.identity.cookies import forgetting, keeping, session_cookies
from app.features.identity.credentials import NO_STORE, session_id, user_id
from app.features.identity.errors import (
    CsrfRefused,
    HashingBusy,
    NotABrowser,
    SecondFactorNeeded,
    SignInFailed,
    TooManyTries,
)
from app.features.identity.models import Proof, User
from app.features.identity.service import sessions
from app.features.identity.service.sign_in import prove_password
from app.features.identity.visitors import visitor
from app.web import KIB, PUBLIC, SIGNED_IN, current_caller, endpoint, resources

routes = Blueprint("auth", __name__, url_prefix="/api/v1/auth")


@dataclass(frozen=True)
class SignIn:
    """An address, its password, and the code of the second factor where there is one."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]
    code: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


@dataclass(frozen=True)
class SignedIn:
    """The user, and what the page sends as X-CSRF-Token with whatever changes something."""

    user: User
    csrf_token: str


@dataclass(frozen=True)
class WhoAmI:
    """The user, what proved it, and the CSRF token where that is a browser's session."""

    user: User
    csrf_token: str | None
    credential: Proof


@routes.post("/login")
@endpoint(
    PUBLIC.but(body=16 * KIB, idempotency=False),
    answers={200: SignedIn},
    errors=(SignInFailed, SecondFactorNeeded, CsrfRefused, TooManyTries, HashingBusy),
)
async def login(body: SignIn) -> tuple[SignedIn, int, dict[str, str]]:
    """Sign a browser in.

    The answer sets the cookie `__Host-session`. A session that the browser had before ends. Programs take tokens
    instead, at `/api/v1/auth/token`.
    """
    opened_by, held = visitor(), resources()
    # Without this, another site could sign somebody in as its own user and read what they then do there.
    csrf.check_page(request, held.settings.server.cors_origins)
    proven = await prove_password(held, opened_by, email=body.email, password=body.password, code=body.code)
    await sessions.end_cookies(held, session_cookies(request), opened_by)
    opened = await sessions.open_session(held, proven, opened_by)
    return SignedIn(proven.user, opened.csrf_token), 200, NO_STORE | keeping(opened.cookie, opened.seconds)


@routes.post("/logout")
@endpoint(SIGNED_IN.but(completing=True, idempotency=False), answers={204: None}, errors=(CsrfRefused, NotABrowser))
async def logout() -> tuple[str, int, dict[str, str]]:
    """Sign this browser out.

    Its session and its sockets end, on every instance, and it is told to forget what this origin has stored in it.
    """
    session = session_id(current_caller())
    if session is None:
        raise NotABrowser
    await sessions.sign_out(resources(), user_id(current_caller()), session, visitor())
    return "", 204, NO_STORE | forgetting() | {"Clear-Site-Data": '"storage"'}  # ASVS 14.3.1


@routes.get("/me")
@endpoint(SIGNED_IN.but(permission="profile:read", completing=True, idempotency=False), answers={200: WhoAmI})
async def me() -> tuple[WhoAmI, int, dict[str, str]]:
    """Show who calls.

    The CSRF token is told to the browser that it belongs to, which may have forgotten it with a reload of the page.
    """
    caller = current_caller()
    found = await sessions.show_me(resources(), user_id(caller), session_id(caller))
    return WhoAmI(found.user, found.csrf_token, _proof(caller.credential)), 200, NO_STORE


def _proof(credential: str) -> Proof:
    return Proof(credential.partition(":")[0])
