"""Looks at intervals how much there is to do, how long it has waited, and what holds back vacuum."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from app.core.database import ConnectionTrouble
from app.core.metrics.depth import QueueDepth
from app.core.metrics.tasks import OTHER
from app.core.resources import Resources
from app.tasks.registry import Registry
from app.tasks.store.measuring import (
    Dead,
    OldestSnapshot,
    Queued,
    Unprocessed,
    select_dead,
    select_oldest_snapshot,
    select_queued,
    select_unprocessed,
)

log = structlog.get_logger(__name__)

INTERVAL = 15.0  # seconds between two looks
# Where a million tasks wait, a look takes half a second: it may take this share of one connection's time.
SHARE = 0.02
PATIENCE = 3.0  # intervals without an answer after which the last one is not told any more


class Depth:
    """One worker is enough to be right; where there are several, each tells the same."""

    def __init__(self, resources: Resources, registry: Registry, *, interval: float = INTERVAL) -> None:
        self._database = resources.database
        self._metrics = resources.metrics
        self._clock = resources.clock
        self._registry = registry
        self._interval = interval

    async def run(self) -> None:
        """Forever; while the database does not answer there is nothing to tell."""
        while True:
            rest = await self.look()
            await asyncio.sleep(rest)

    async def look(self) -> float:
        """Count, and have it told; gives the seconds until the next look."""
        began = self._clock.monotonic()
        try:
            depth = await self.measure()
        except ConnectionTrouble as error:
            log.debug("depth_not_measured", reason=str(error))
            return self._interval
        rest = max(self._interval, (self._clock.monotonic() - began) / SHARE)
        self._metrics.depth.tell(depth, lasting=PATIENCE * rest)
        return rest

    async def measure(self) -> QueueDepth:
        """Raises `ConnectionTrouble`."""
        queued, dead = await select_queued(self._database), await select_dead(self._database)
        events, snapshot = await select_unprocessed(self._database), await select_oldest_snapshot(self._database)
        return _depth(self._registry, queued, dead, events, snapshot)


def _depth(
    registry: Registry, queued: list[Queued], dead: list[Dead], events: list[Unprocessed], snapshot: OldestSnapshot
) -> QueueDepth:
    """Of every declared type, also where there is nothing: a graph has to fall to 0, not to end."""
    found = {each.task_type: each for each in queued}
    known = [found.get(name) or Queued(name, 0, 0, 0, 0, 0.0) for name in registry.runnables]
    heard = [each for each in events if each.event_type in registry.events]
    return QueueDepth(
        queued={labels: count for each in known for labels, count in _by_state(each)},
        oldest_due={each.task_type: each.oldest_due for each in known},
        dead=_by_known_type(registry, dead),
        tasks_of_unknown_types=sum(
            each.waiting + each.due + each.later + each.running
            for each in queued
            if each.task_type not in registry.runnables
        ),
        events=sum(each.events for each in heard),
        oldest_event=max((each.oldest for each in heard), default=0.0),
        events_of_unknown_types=sum(each.events for each in events if each not in heard),
        snapshot_seconds=snapshot.seconds,
        snapshot_transactions=snapshot.transactions,
    )


def _by_state(of: Queued) -> Iterable[tuple[tuple[str, str], int]]:
    counts = {"waiting": of.waiting, "due": of.due, "later": of.later, "running": of.running}
    return (((of.task_type, state), count) for state, count in counts.items())


def _by_known_type(registry: Registry, dead: list[Dead]) -> dict[str, int]:
    counts = dict.fromkeys(registry.runnables, 0)
    for each in dead:
        name = each.task_type if each.task_type in registry.runnables else OTHER
        counts[name] = counts.get(name, 0) + each.dead
    return counts
