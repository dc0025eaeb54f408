"""How often one client may send: a bucket of tokens that fills with time and can be in debt."""

from __future__ import annotations

from enum import Enum

BURST = 10  # seconds' worth of messages that may come at once


class Verdict(Enum):
    """What becomes of a message."""

    PASSED = "passed"
    REFUSED = "refused"
    FLOOD = "flood"


class TokenBucket:
    """`rate` messages a second on average, ten times as many at once.

    Refused ones count, too, so that a client that goes on regardless gets nothing through at all, and is a flood after
    another burst's worth. Without that a flood would be let pass at its rate for ever, and never be one.
    """

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        """Full at first; `now` is in seconds, of any clock that only goes on."""
        self._rate = rate
        self._tokens = rate * BURST
        self._at = now

    def take(self, now: float) -> Verdict:
        most = self._rate * BURST
        self._tokens = min(most, self._tokens + (now - self._at) * self._rate) - 1
        self._at = now
        if self._tokens >= 0:
            return Verdict.PASSED
        return Verdict.REFUSED if self._tokens >= -most else Verdict.FLOOD
