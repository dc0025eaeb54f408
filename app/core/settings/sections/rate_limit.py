"""Section `rate_limit`: how often a caller may call."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How often a caller may call."""

    enabled: bool = declare.flag(True, "Hold callers to the limits of each route; false is for load tests.")
    per_minute: int = declare.whole(
        0,
        0,
        1_000_000,
        "Requests a minute from one address to one route that declares no limit of its own; 0 is no limit.",
    )
