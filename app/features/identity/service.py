"""What identity does."""

from __future__ import annotations

from app.core.resources import Resources
from app.features.identity.repository import EXPIRED_JWT_TOKENS, EXPIRED_SESSIONS
from app.tasks.sweeping import sweep


async def sweep_sessions(resources: Resources) -> int:
    """How many expired ones went."""
    return await sweep(resources, EXPIRED_SESSIONS)


async def sweep_jwt_tokens(resources: Resources) -> int:
    """How many expired ones went."""
    return await sweep(resources, EXPIRED_JWT_TOKENS)
