"""People who sign in at an OpenID provider, and come with its tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import structlog

from app.core.callers import Caller
from app.core.database import Database
from app.core.errors import Unauthorized, ValidationFailed
from app.core.resources import Resources
from app.features.identity.addresses import address_of
from app.features.identity.events import EXTERNAL_LINKED, USER_CREATED
from app.features.identity.models import Proof, Visitor, credential
from app.features.identity.repository.external import (
    insert_external_identity,
    insert_external_user,
    select_active_users,
    select_external_user,
)
from app.features.identity.service.audit import NOWHERE, record
from app.features.identity.service.external_tokens import External, parts_of, read

log = structlog.get_logger(__name__)

LONGEST_NAME = 255  # characters


class _SomebodyAlready(Exception):
    """The same subject came a moment ago under another address."""


def is_external(resources: Resources, token: str) -> bool:
    """Whether a provider is configured and the token names it as its issuer; nothing is verified yet."""
    issuer = resources.settings.oidc.issuer
    parts = parts_of(token) if issuer else None
    named = parts[1].get("iss") if parts else None
    return isinstance(named, str) and named.removesuffix("/") == issuer


async def caller_of(resources: Resources, token: str, visitor: Visitor = NOWHERE) -> Caller:
    """Whose token this is; one statement where the person is known. Raises `Unauthorized` and `ProviderAway`."""
    external = await read(resources, token)
    row = await select_external_user(resources.database, external.issuer, external.subject)
    if row is None:
        await _welcome(resources, external, visitor)
        row = await select_external_user(resources.database, external.issuer, external.subject)
    if row is None or not row["is_active"]:
        raise Unauthorized
    name = credential(Proof.EXTERNAL, row["id"])
    return Caller(str(row["id"]), row["role"], credential=name, expires_at=external.expires_at)


async def holding(db: Database, ids: Sequence[UUID]) -> Collection[UUID]:
    """Those that still hold; one statement."""
    return await select_active_users(db, ids)


async def _welcome(resources: Resources, external: External, visitor: Visitor) -> None:
    """Make a user of somebody new, unless the same was done just now, or the address is somebody's here.

    That one has a password, and has not said that the provider may speak for them: it is no way in.
    """
    email = _proven_address(external)
    if email is None:
        log.info("external_token_refused", reason="a stranger without a verified address")
        return
    try:
        async with resources.database.transaction():
            await _make_user(resources, external, email, visitor)
    except _SomebodyAlready:
        return  # and the user that was made for the second address is gone again


async def _make_user(resources: Resources, external: External, email: str, visitor: Visitor) -> None:
    db, issuer, subject = resources.database, external.issuer, external.subject
    user_id = await insert_external_user(db, email=email, name=_name(external, email))
    if user_id is None:
        return
    if not await insert_external_identity(db, issuer=issuer, subject=subject, user_id=user_id):
        raise _SomebodyAlready
    await record(resources, USER_CREATED, user_id, by=user_id, visitor=visitor, about="external")
    await record(resources, EXTERNAL_LINKED, user_id, by=user_id, visitor=visitor, about=issuer)


def _proven_address(external: External) -> str | None:
    email = external.claims.get("email")
    if external.claims.get("email_verified") is not True or not isinstance(email, str):
        return None
    try:
        return address_of(email)
    except ValidationFailed:
        return None


def _name(external: External, email: str) -> str:
    for claim in ("name", "preferred_username"):
        given = external.claims.get(claim)
        name = "".join(filter(str.isprintable, given)).strip() if isinstance(given, str) else ""
        if name:
            return name[:LONGEST_NAME]
    return email.partition("@")[0]
