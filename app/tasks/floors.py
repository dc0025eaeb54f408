"""Where a search begins, while old row versions make it slow.

A transaction that stays open keeps every dead version of every row, and a claim would step over all of them to find
the living: more with every task. What has been claimed through once is left out, but for one full look a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from app.tasks.store import Claimed
from app.tasks.store.claiming import ALWAYS

SLOW = 0.005  # seconds; a claim takes about one millisecond
SLOW_PER_TASK = 0.00005  # and this for each task that it gives
MARGIN = timedelta(seconds=0.25)  # for those that were asked for earlier than others but committed later
FULL_LOOK = 1.0  # seconds between two looks that begin at the beginning
FULL_RESCUE = 3.0  # the same, for tasks whose lease has run out
LEASE_MARGIN = timedelta(seconds=1)
SHARE = 5.0  # a full look comes at most after this many times its own duration


class Floors:
    """Of the claim: for each type and priority, the `run_at` up to which nothing is left, as far as is known."""

    def __init__(self) -> None:
        self.is_slow = False
        self._floors: dict[tuple[str, int], datetime] = {}
        self._full_at = self._soonest = 0.0

    def of(self, task_type: str, priority: int) -> datetime:
        """Where the search of this lane begins; at the very beginning while nothing is slow."""
        if not self.is_slow or self.is_full_due:
            return ALWAYS
        return self._floors.get((task_type, priority), ALWAYS)

    @property
    def is_full_due(self) -> bool:
        return time.monotonic() >= self._full_at

    def look_fully(self) -> None:
        """Something came back whose time has passed already."""
        self._full_at = min(self._full_at, self._soonest)

    def start_over(self) -> None:
        """Look fully, the next time."""
        self.is_slow = False

    def learn(self, claimed: Iterable[Claimed], *, seconds: float, was_full: bool) -> None:
        """What a claim gave and how long it took."""
        count = 0
        for task in claimed:
            count += 1
            lane, floor = (task.task_type, task.priority), task.run_at - MARGIN
            if floor > self._floors.get(lane, ALWAYS):
                self._floors[lane] = floor
        slow = seconds > SLOW + SLOW_PER_TASK * count
        if was_full:
            self.is_slow = slow
            now = time.monotonic()
            self._soonest = now + SHARE * seconds
            self._full_at = now + max(FULL_LOOK, SHARE * seconds)


class LeaseFloor:
    """Of the rescue: the end of a lease below which no task of a lost worker is left.

    A lease ends after the moment in which it was given. So none can come to be below a moment that a look has passed,
    but for a row that was locked then; the full look finds it.
    """

    def __init__(self) -> None:
        self._floor: datetime | None = None
        self._full_at = 0.0

    def next(self) -> datetime:
        """Where the next look begins."""
        if self._floor is None or time.monotonic() >= self._full_at:
            return ALWAYS
        return self._floor

    def learn(self, floor: datetime, now: datetime | None, *, seconds: float) -> None:
        """A look from `floor` on took so long; `now` is the database's time before it, None where it left some."""
        if floor == ALWAYS:
            is_slow = seconds > SLOW
            self._full_at = time.monotonic() + max(FULL_RESCUE, SHARE * seconds)
            self._floor = now - LEASE_MARGIN if is_slow and now else None
        elif now:
            self._floor = now - LEASE_MARGIN
