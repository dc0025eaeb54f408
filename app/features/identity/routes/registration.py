"""`/api/v1/auth/register` and `/auth/email/verify`: Becoming a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from quart import Blueprint

from app.features.identity.addresses import EmailField
from app.features.identity.errors import BadToken, HashingBusy, TooManyMails
from app.features.identity.models import User
from app.features.identity.service import registration
from app.features.identity.visitors import visitor
from app.web import KIB, MINUTE, PUBLIC, Limit, endpoint, resources

routes = Blueprint("registration", __name__, url_prefix="/api/v1/auth")

# A stored answer would need one transaction around the hashing; who asks twice gets two mails.
POLICY = PUBLIC.but(idempotency=False, limits=(Limit(30, MINUTE),), body=16 * KIB)


@dataclass(frozen=True)
class NewRegistration:
    """Who wants to become a user. A role is none of theirs to choose."""

    email: EmailField
    password: Annotated[str, Meta(min_length=1, max_length=1024, description="At most 1024 bytes of UTF-8.")]
    name: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s]")]


@dataclass(frozen=True)
class Registered:
    """Where the mail goes."""

    email: str


@dataclass(frozen=True)
class Verification:
    """What the mail holds."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


@routes.post("/register")
@endpoint(POLICY, answers={201: Registered}, errors=(TooManyMails, HashingBusy))
async def register(body: NewRegistration) -> tuple[Registered, int]:
    """Register.

    A mail is sent to the address; once it is confirmed there is a user. The answer is the same for an address that is
    registered already, whose owner is told by mail.
    """
    address = await registration.register(
        resources(), visitor(), email=body.email, password=body.password, name=body.name
    )
    return Registered(address), 201


@routes.post("/email/verify")
@endpoint(POLICY, answers={200: User}, errors=(BadToken,))
async def verify(body: Verification) -> tuple[User, int, dict[str, str]]:
    """Confirm an e-mail address.

    With the token of the mail, which is valid for 24 hours and once. Then sign in with the password of that
    registration.
    """
    user = await registration.verify(resources(), visitor(), body.token)
    return user, 200, {"Cache-Control": "no-store"}
