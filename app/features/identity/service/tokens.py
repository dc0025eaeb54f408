"""Access and refresh tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.callers import Caller
from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.resources import Resources


async def caller_of(resources: Resources, token: str) -> Caller:
    """Whose access token this is; one statement. Raises `Unauthorized`."""
    raise Unauthorized


async def holding(db: Database, ids: Sequence[UUID]) -> Collection[UUID]:
    """Those that still hold; one statement."""
    return []
