"""Sections whose name is reserved; a key arrives together with the code that reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Csrf:
    """Protection of browser forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ai:
    """Completion by language models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Memberships and their billing."""
