"""Hears from other processes that there is something to do, so that a worker need not wait for its next look."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import structlog

from app.core.database import ConnectionTrouble, listen
from app.core.queue import CHANNEL
from app.core.resources import Resources
from app.core.settings.sections.database import PoolerMode
from app.tasks.hints import Hints

log = structlog.get_logger(__name__)

MISSED = ("tasks", "outbox")  # what may have been said while nobody listened
FIRST_RETRY = 0.1  # seconds; doubled with each try, with full jitter
LONGEST_RETRY = 5.0

_random = secrets.SystemRandom()


class Listener:
    """One for each worker. Without it everything is found all the same, at the next look."""

    def __init__(self, resources: Resources, hints: Hints) -> None:
        self._resources = resources
        self._hints = hints
        self._attempt = 0

    async def run(self) -> None:
        """Until cancelled; behind a transaction pooler it ends at once, and says why."""
        if self._resources.settings.database.pooler_mode is PoolerMode.TRANSACTION:
            log.info("listener_off", reason="a transaction pooler hands on no NOTIFY; new work is found by polling")
            return
        while True:
            try:
                await self._listen()
            except (ConnectionTrouble, asyncpg.PostgresError) as error:
                await self._rest(error)

    async def _listen(self) -> None:
        database = self._resources.database
        name = f"{database.application_name} listener"
        async with listen(database.settings, CHANNEL, self._hints.tell, application_name=name) as notices:
            self._attempt = 0
            log.info("listener_connected")
            with self._told():
                for message in MISSED:
                    self._hints.tell(message)
                await notices.last()

    @contextmanager
    def _told(self) -> Iterator[None]:
        metrics = self._resources.metrics.tasks
        metrics.listening(is_so=True)
        try:
            yield
        finally:
            metrics.listening(is_so=False)

    async def _rest(self, error: Exception) -> None:
        """The first line of an outage is a warning; the others would say the same."""
        tell = log.debug if self._attempt else log.warning
        self._attempt += 1
        retry_in = _random.uniform(0, min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(self._attempt, 10)))
        tell("listener_lost", reason=str(error), retry_in=round(retry_in, 3))
        await asyncio.sleep(retry_in)
