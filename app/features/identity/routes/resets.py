"""`/api/v1/auth/password/reset`: A new password for those who have forgotten theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from quart import Blueprint

from app.features.identity.addresses import EmailField
from app.features.identity.errors import BadToken, HashingBusy, TooManyMails
from app.features.identity.service import resets
from app.features.identity.visitors import visitor
from app.web import KIB, MINUTE, PUBLIC, Limit, endpoint, resources

routes = Blueprint("resets", __name__, url_prefix="/api/v1/auth/password")

POLICY = PUBLIC.but(idempotency=False, limits=(Limit(30, MINUTE),), body=16 * KIB)


@dataclass(frozen=True)
class Forgotten:
    """Who has forgotten the password."""

    email: EmailField


@dataclass(frozen=True)
class Asked:
    """Where the mail goes, if that is a user."""

    email: str


@dataclass(frozen=True)
class Reset:
    """What the mail holds, and the password to be."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
    new: Annotated[str, Meta(min_length=1, max_length=1024, description="At most 1024 bytes of UTF-8.")]


@routes.post("/reset-request")
@endpoint(POLICY, answers={202: Asked}, errors=(TooManyMails,))
async def ask(body: Forgotten) -> tuple[Asked, int]:
    """Ask for a new password.

    The answer is the same for everybody; a mail is sent where the address is a user's.
    """
    return Asked(await resets.ask(resources(), visitor(), email=body.email)), 202


@routes.post("/reset")
@endpoint(POLICY, answers={204: None}, errors=(BadToken, HashingBusy))
async def reset(body: Reset) -> tuple[str, int]:
    """Choose a new password.

    With the token of the mail, which is valid for 30 minutes and once. It ends all sessions and tokens and closes all
    sockets; API keys and the second factor stay.
    """
    await resets.reset(resources(), visitor(), token=body.token, new=body.new)
    return "", 204
