"""Tokens of an OpenID provider."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.callers import Caller
from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.resources import Resources


def is_external(resources: Resources, token: str) -> bool:
    """Whether a provider is configured and the token names it as its issuer; nothing is verified yet."""
    return False


async def caller_of(resources: Resources, token: str) -> Caller:
    """Whose token this is; one statement where the person is known. Raises `Unauthorized`."""
    raise Unauthorized


async def holding(db: Database, ids: Sequence[UUID]) -> Collection[UUID]:
    """Those that still hold; one statement."""
    return []
