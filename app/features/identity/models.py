"""What the layers of identity hand to each other: people, and what proves who they are; never a secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a user may do."""

    USER = "user"
    ADMIN = "admin"


class Proof(StrEnum):
    """What was shown to prove who calls: the first word of `Caller.credential`."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105  (a word)
    KEY = "key"
    EXTERNAL = "external"


@dataclass(frozen=True)
class Visitor:
    """Where a request comes from, as sessions and the log of events keep it."""

    address: str  # of the client, beyond trusted proxies
    agent: str = ""  # the header User-Agent, cut to 300 characters


@dataclass(frozen=True)
class User:
    """One person, as everybody who may see them sees them."""

    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    email_verified: bool
    second_factor: bool
    created_at: datetime


def credential(proof: Proof, id_: UUID) -> str:
    """How `Caller.credential` names it: `session:<id>`, `token:<family>`, `key:<id>`, `external:<user>`."""
    return f"{proof}:{id_}"
