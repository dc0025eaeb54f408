"""Sections whose name is reserved; a key arrives together with the code that reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Section `telemetry`: traces and metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Section `session`: browser sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Csrf:
    """Section `csrf`: protection of browser forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """Section `jwt`: tokens that this service issues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """Section `oidc`: tokens that another issuer signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Section `rate_limit`: how often a caller may call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocket:
    """Section `websocket`: realtime connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Section `worker`: background tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ai:
    """Section `ai`: completion by language models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Section `payment`: memberships and their billing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """Section `email`: outgoing mail."""
