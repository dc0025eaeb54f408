"""Registering and asking for a new password as they are often written: the control of the tests that measure time."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint

from app.feature import Feature
from app.features.identity.hashing import hashing_of
from app.features.identity.repository.users import select_user_to_sign_in
from app.features.mail import Mail, mailer_of
from app.web import PUBLIC, endpoint, resources

routes = Blueprint("naive", __name__, url_prefix="/api/v1/naive")

POLICY = PUBLIC.but(idempotency=False)


@dataclass(frozen=True)
class Registration:
    """What the right route takes, too."""

    email: str
    password: str
    name: str


@dataclass(frozen=True)
class Forgotten:
    """What the right route takes, too."""

    email: str


@routes.post("/register")
@endpoint(POLICY, answers={201: None})
async def register(body: Registration) -> tuple[str, int]:
    """Hash a password only where there is somebody to store it for."""
    if await select_user_to_sign_in(resources().database, body.email) is None:
        await hashing_of(resources()).hash(body.password)
    return "", 201


@routes.post("/password/reset-request")
@endpoint(POLICY, answers={202: None})
async def ask(body: Forgotten) -> tuple[str, int]:
    """Send the mail at once, where there is somebody to send it to."""
    user = await select_user_to_sign_in(resources().database, body.email)
    mailer = mailer_of(resources().settings)
    if user is not None and mailer is not None:
        await mailer.send(Mail(body.email, "A new password", "Here it is.", "1"))
    return "", 202


feature = Feature(name="naive", routes=(routes,))
