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
    sign_ins_per_account: int = declare.whole(
        10, 1, 100_000, "Failed sign-ins of one account from one address in 15 minutes; those above wait."
    )
    sign_ins_per_address: int = declare.whole(
        100, 1, 1_000_000, "Tries to sign in from one address in 15 minutes, to whatever accounts; those above wait."
    )
    mails_per_account: int = declare.whole(
        5, 1, 10_000, "Mails an hour that strangers can have sent to one address (verification, new password)."
    )
