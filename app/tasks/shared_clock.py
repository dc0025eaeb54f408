"""One time for all workers: each machine's clock, put right by the database's where they differ."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from app.core.clock import Clock
from app.core.database import Database
from app.tasks.store.ticking import select_now

log = structlog.get_logger(__name__)

RIGHT = timedelta(0)
# Below this the machine's own clock is good enough, and the way to the database would only add to the difference.
SLACK = timedelta(seconds=1)


class SharedClock:
    """Tells what `clock` tells, less what `machine` is ahead of the database.

    The two are one outside of tests, which move `clock` and thereby say what time it is, but have nothing to say
    about the machine.
    """

    def __init__(self, database: Database, clock: Clock, machine: Clock) -> None:
        self._database = database
        self._clock = clock
        self._machine = machine
        self._ahead = RIGHT

    def now(self) -> datetime:
        """By the last comparison."""
        return self._clock.now() - self._ahead

    async def compare(self) -> None:
        """Ask the database for its time."""
        asked = self._machine.now()
        theirs = await select_now(self._database)
        self._keep(_ahead(asked, theirs, self._machine.now()))

    def _keep(self, ahead: timedelta) -> None:
        was_right, self._ahead = self._ahead == RIGHT, ahead
        if was_right and ahead != RIGHT:
            log.warning("clock_differs", ahead=round(ahead.total_seconds(), 3))
        if ahead == RIGHT and not was_right:
            log.info("clock_agrees")


def _ahead(asked: datetime, theirs: datetime, heard: datetime) -> timedelta:
    """A clock that agrees was asked before and heard after; nothing is known about a difference within that time.

    Of what it may be, the most: what is put right may be late by the way back, and is never early.
    """
    differs = theirs < asked - SLACK or theirs > heard + SLACK
    return heard - theirs if differs else RIGHT
