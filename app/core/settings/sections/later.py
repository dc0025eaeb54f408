"""Sections whose name is reserved; a key arrives together with the code that reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Browser sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Csrf:
    """Protection of browser forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """Tokens that this service issues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """Tokens that another issuer signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ai:
    """Completion by language models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Memberships and their billing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """Outgoing mail."""
