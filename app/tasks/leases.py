"""Keeps what runs, and lets go in time of what can't be kept: past its lease another worker may have it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from uuid import UUID

import structlog

from app.core.database import Database
from app.tasks import store
from app.tasks.backoff import Backoff
from app.tasks.run import Run
from app.tasks.settler import TROUBLE

log = structlog.get_logger(__name__)

CANCEL = "cancel:"  # begins the hint that names a task which an operator has ended


class Leases:
    """`held` are all runs that are not settled; `lose` is called for one that is not ours any more."""

    def __init__(
        self,
        database: Database,
        held: Collection[Run],
        *,
        lease: float,
        writing: asyncio.Lock,
        lose: Callable[[Run], None],
    ) -> None:
        self._database = database
        self._held = held
        self._lease = lease
        self._margin = min(lease / 6, 2.0)
        self._writing = writing
        self._lose = lose
        self._suspects: set[UUID] = set()
        self._news = asyncio.Event()

    def hear(self, message: str) -> None:
        """A hint: the task that it names is looked after at once."""
        if message.startswith(CANCEL):
            with suppress(ValueError):
                self._suspects.add(UUID(message.removeprefix(CANCEL)))
                self._news.set()

    async def run(self) -> None:
        """Forever, in two tasks: letting go must not wait for a database that does not answer."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._renew_forever())
            both.create_task(self._fence_forever())

    async def _renew_forever(self) -> None:
        backoff = Backoff()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease / 6):
                    await self._news.wait()
            self._news.clear()
            while not await self._renewed():
                await backoff.wait()
            backoff.reset()

    async def _renewed(self) -> bool:
        suspects, self._suspects = self._suspects, set()
        try:
            await self._renew(suspects)
        except TROUBLE as error:
            self._suspects |= suspects
            log.warning("renewal_failed", error=type(error).__name__)
            return False
        return True

    async def _renew(self, suspects: Collection[UUID]) -> None:
        """Those whose lease is a third over; a fresh one needs none, and most tasks end before that."""
        async with self._writing:
            sent = time.monotonic()
            old = sent + self._lease * 2 / 3
            runs = [run for run in self._held if not run.is_over and (run.until < old or run.id in suspects)]
            if not runs:
                return
            asked = [(run.id, run.claimed.lease_seq) for run in runs]
            kept = await store.renew(self._database, asked, lease=self._lease)
        for run in runs:
            if run.id in kept:
                run.until = sent + self._lease
            elif not run.is_over and not run.ends_itself:
                self._lose(run)

    async def _fence_forever(self) -> None:
        while True:
            now = time.monotonic()
            for run in [each for each in self._held if not each.is_over and each.until - self._margin <= now]:
                self._lose(run)
            first = min((run.until for run in self._held if not run.is_over), default=now + self._lease)
            await asyncio.sleep(min(max(first - self._margin - now, self._margin / 10), self._lease / 6))
