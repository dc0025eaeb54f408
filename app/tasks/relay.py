"""Hands events on: what was published becomes a task for each subscriber, soon after its commit."""

from __future__ import annotations

import time

import structlog

from app.core.resources import Resources
from app.tasks import store
from app.tasks.backoff import Backoff
from app.tasks.hints import Hints
from app.tasks.registry import Registry
from app.tasks.relay_floor import RelayFloor
from app.tasks.settler import TROUBLE
from app.tasks.store import Moved, Subscription

log = structlog.get_logger(__name__)

BATCH = 500
# Where each look reads past many dead rows, it is to find much.
LARGE_BATCH = 5000


class Relay:
    """One in each worker; whichever comes first moves a batch, and the others pass."""

    def __init__(self, resources: Resources, registry: Registry, hints: Hints) -> None:
        self._resources = resources
        self._database = resources.database
        self._hints = hints
        self._poll_interval = resources.settings.worker.poll_interval
        self._known = list(registry.events)
        self._subscriptions = [
            Subscription(each.event.name, each.name, int(each.priority), each.retries) for each in registry.subscribers
        ]
        self._floor = RelayFloor(self._database)
        self._unpromoted: set[str] = set()

    async def run(self) -> None:
        """Until cancelled; whatever the database does, it is asked again."""
        backoff, tell = Backoff(), log.warning
        while True:
            try:
                await self.run_once()
            except TROUBLE as error:
                tell("relay_interrupted", error=type(error).__name__)
                tell = log.debug  # the first line of an outage says it all
                await backoff.wait()
            else:
                backoff, tell = Backoff(), log.warning
                await self._hints.wait("outbox", within=self._poll_interval)

    async def run_once(self) -> int:
        """Move what is there, batch by batch; gives how many events that were."""
        await self._promote()  # where the look after the last commit failed
        total = 0
        while moved := await self._move():
            total += moved.events
            await self._hand_on(moved)
            if moved.events < BATCH:
                break
        return total

    async def _move(self) -> Moved | None:
        began = time.monotonic()
        limit = LARGE_BATCH if self._floor.is_needed else BATCH
        floor = self._floor.next()
        moved = await store.move_events(
            self._database, self._subscriptions, known=self._known, limit=limit, floor=floor
        )
        if moved is not None:
            self._unpromoted.update(moved.order_keys)
            await self._floor.learn(floor, moved, took=time.monotonic() - began, was_all=moved.events < limit)
        return moved

    async def _hand_on(self, moved: Moved) -> None:
        if not moved.events:
            return
        self._resources.metrics.tasks.relayed(moved.events, moved.tasks, moved.lag)
        log.debug("events_relayed", events=moved.events, tasks=moved.tasks, lag=round(moved.lag, 3))
        await self._promote()

    async def _promote(self) -> None:
        """After the commit, with a snapshot of its own; what it does not reach is tried again with the next look."""
        keys = sorted(self._unpromoted)
        if await store.promote(self._database, keys):
            self._hints.tell("tasks")
            self._resources.queue.wake("tasks")
        self._unpromoted.difference_update(keys)
