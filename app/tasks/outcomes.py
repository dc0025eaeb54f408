"""How a run may end otherwise than by returning, in the words of its handler."""

from __future__ import annotations


class Discard(Exception):
    """Trying again would help nobody: the task is dead at once, with this as its reason."""


class RetryLater(Exception):
    """Not now: it is run again after `delay` seconds, which counts as no failure."""

    def __init__(self, delay: float, reason: str = "") -> None:
        if delay < 0:
            raise ValueError(f"delay is {delay}; it takes seconds from 0")
        super().__init__(reason or f"to be tried again in {delay:g} s")
        self.delay = delay


class LeaseLost(Exception):
    """Another worker may have this task by now, or an operator has ended it: nothing of this run may be kept."""
