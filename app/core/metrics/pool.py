"""The pool's numbers, asked for when a scraper comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.database import PoolStats

PREFIX = "plinth_database_pool_"


class PoolCollector(Collector):
    """One moment of `stats`, as families."""

    def __init__(self, stats: Callable[[], PoolStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        now = self._stats()
        yield _gauge("max_size", "Most connections the pool may open.", now.max_size)
        yield _gauge("size", "Connections open.", now.size)
        yield _gauge("in_use", "Connections held by a query or a transaction.", now.in_use)
        yield _gauge("idle", "Connections that nobody uses.", now.idle)
        yield _gauge("waiting", "Tasks that wait for a connection.", now.waiting)
        yield _gauge("oldest_wait_seconds", "How long the first of them has waited.", now.oldest_wait)
        yield _counter("acquire_timeouts", "Waits given up after database.acquire_timeout.", now.acquire_timeouts_total)
        yield _counter("opened", "Connections opened.", now.opened_total)
        yield _counter("discarded", "Connections lost, or thrown away unclean.", now.discarded_total)

    def describe(self) -> Iterator[Metric]:
        """Nothing: to be registered it need not be asked, and the pool may be closed."""
        return iter(())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value=value)
