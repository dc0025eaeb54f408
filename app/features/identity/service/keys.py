"""API keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.callers import Caller
from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.resources import Resources


def is_key(token: str) -> bool:
    """Whether it has the form of a key; says nothing of whether it holds."""
    return False


async def caller_of(resources: Resources, token: str) -> Caller:
    """Whose key this is; one statement. Raises `Unauthorized`."""
    raise Unauthorized


async def holding(db: Database, ids: Sequence[UUID]) -> Collection[UUID]:
    """Those that still hold; one statement."""
    return []
