"""Where the relay may begin its search when the outbox is full of dead rows, which a held snapshot keeps.

A position alone tells nothing: a lower one may be committed later, and its event would come after those of the same
aggregate that follow it. So the floor is a position below which every transaction has ended, and been looked at since.
"""

from __future__ import annotations

import time

from app.core.database import Database
from app.tasks import store
from app.tasks.store import Horizon, Moved

SLOW = 0.005  # seconds for a look that finds nothing
SLOW_EVENT = 0.0002  # seconds more for each event that it moves
FULL_LOOK = 1.0  # seconds until the next one, at most; longer where it takes more than a fifth of this


class RelayFloor:
    """0 as long as looks are quick. What an operator puts back below it is found by a full look, a second later."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_needed = False
        self._position = 0
        self._horizon: Horizon | None = None
        self._next_full = 0.0

    def next(self) -> int:
        """Where the next look begins."""
        return self._position if time.monotonic() < self._next_full else 0

    async def learn(self, floor: int, moved: Moved, *, took: float, was_all: bool) -> None:
        """A look from `floor` on took so many seconds, and `was_all` that there was."""
        if floor == 0:
            self.is_needed = took > SLOW + SLOW_EVENT * moved.events
            self._next_full = time.monotonic() + max(FULL_LOOK, 5 * took)
        if not self.is_needed:
            self._position, self._horizon = 0, None
        elif self._horizon is None:
            self._horizon = await store.select_horizon(self._database)
        elif was_all and moved.oldest_open >= self._horizon.next_transaction:
            self._position, self._horizon = self._horizon.position + 1, None
