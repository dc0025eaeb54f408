"""Deletes what is over: expired sessions, tokens, registrations and mails."""

from __future__ import annotations

from app.core.resources import Resources
from app.features.identity.repository.sweeps import (
    EXPIRED_JWT_TOKENS,
    EXPIRED_REGISTRATIONS,
    EXPIRED_RESETS,
    EXPIRED_SESSIONS,
)
from app.tasks.sweeping import sweep


async def sweep_sessions(resources: Resources) -> int:
    """How many expired ones went."""
    return await sweep(resources, EXPIRED_SESSIONS)


async def sweep_jwt_tokens(resources: Resources) -> int:
    """How many expired ones went."""
    return await sweep(resources, EXPIRED_JWT_TOKENS)


async def sweep_mails(resources: Resources) -> int:
    """How many registrations and resets went that nobody has confirmed in time."""
    return await sweep(resources, EXPIRED_REGISTRATIONS) + await sweep(resources, EXPIRED_RESETS)
