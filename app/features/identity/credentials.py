"""What a caller's credential says of the person behind it, and how answers about people are kept from caches."""

from __future__ import annotations

from uuid import UUID

from app.core.callers import Caller
from app.features.identity.models import Proof

NO_STORE = {"Cache-Control": "no-store"}  # ASVS 14.3.2


def user_id(caller: Caller) -> UUID:
    """The user, who has made the key or the token where it is a program that calls."""
    return UUID(caller.id)


def session_id(caller: Caller) -> UUID | None:
    """The session of the browser that calls; None for programs."""
    proof, _, id_ = caller.credential.partition(":")
    return UUID(id_) if proof == Proof.SESSION else None
