"""Small turns of phrase that several checks share."""

from __future__ import annotations

import pwd
from collections.abc import Sequence

SHOWN = 5


def listed(things: Sequence[str], *, shown: int = SHOWN) -> str:
    """The first few, and how many more there are."""
    more = len(things) - shown
    return "; ".join(things[:shown]) + (f"; and {more} more" if more > 0 else "")


def number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def lasting(seconds: float) -> str:
    """A duration as a person says it."""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.1f} s"


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"
