"""What the worker has counted in the database last: told when a scraper comes, unless it is too old to be true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.clock import Clock, SystemClock


@dataclass(frozen=True)
class QueueDepth:
    """One look: tasks by type and state, seconds by type, dead tasks by type; events; and what holds back vacuum."""

    queued: Mapping[tuple[str, str], int]
    oldest_due: Mapping[str, float]
    dead: Mapping[str, int]
    tasks_of_unknown_types: int
    events: int
    oldest_event: float
    events_of_unknown_types: int
    snapshot_seconds: float
    snapshot_transactions: int


class DepthCollector(Collector):
    """The last look; nothing at all before the first, and once the last is over."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._depth: QueueDepth | None = None
        self._until = 0.0

    def tell(self, depth: QueueDepth, *, lasting: float) -> None:
        """Shown for so many seconds, unless another look comes before."""
        self._depth, self._until = depth, self._clock.monotonic() + lasting

    def collect(self) -> Iterator[Metric]:
        if self._depth is not None and self._clock.monotonic() < self._until:
            yield from _of_tasks(self._depth)
            yield from _of_events(self._depth)
            yield from _of_snapshots(self._depth)

    def describe(self) -> Iterator[Metric]:
        """Nothing: a process that does not look has none of these."""
        return iter(())


def _of_tasks(depth: QueueDepth) -> Iterator[Metric]:
    queued = _gauge("plinth_tasks_queued", "Tasks to be done.", ["task_type", "state"])
    for labels, count in depth.queued.items():
        queued.add_metric(labels, count)
    oldest = _gauge("plinth_tasks_oldest_due_seconds", "How long the oldest due task has waited.", ["task_type"])
    for task_type, seconds in depth.oldest_due.items():
        oldest.add_metric([task_type], seconds)
    dead = _gauge("plinth_tasks_dead", "Tasks given up that are kept.", ["task_type"])
    for task_type, count in depth.dead.items():
        dead.add_metric([task_type], count)
    yield from (queued, oldest, dead)
    unknown = depth.tasks_of_unknown_types
    yield _one("plinth_tasks_of_unknown_types", "Tasks to be done that no feature of this version does.", unknown)


def _of_events(depth: QueueDepth) -> Iterator[Metric]:
    unknown = depth.events_of_unknown_types
    yield _one("plinth_outbox_unprocessed", "Events to be handed on.", depth.events)
    yield _one("plinth_outbox_oldest_seconds", "How long the oldest of them has been there.", depth.oldest_event)
    yield _one("plinth_outbox_of_unknown_types", "Events that no feature of this version knows.", unknown)


def _of_snapshots(depth: QueueDepth) -> Iterator[Metric]:
    yield _one(
        "plinth_database_oldest_snapshot_seconds",
        "How long the oldest transaction that holds back vacuum has been open, of those shown to this role.",
        depth.snapshot_seconds,
    )
    yield _one(
        "plinth_database_oldest_snapshot_transactions",
        "How many transactions have begun since the oldest thing that holds back vacuum.",
        depth.snapshot_transactions,
    )


def _gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
