"""All numbers of one process: who counts what, and how it is written for a scraper."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector
from prometheus_client import exposition as plain
from prometheus_client.metrics import disable_created_metrics
from prometheus_client.openmetrics import exposition as openmetrics

from app.core.database import PoolStats
from app.core.metrics.depth import DepthCollector
from app.core.metrics.edge import HttpMetrics, RateLimitMetrics
from app.core.metrics.loop_lag import LoopLag
from app.core.metrics.pool import PoolCollector
from app.core.metrics.probes import ProbeCollector
from app.core.metrics.services import DatabaseMetrics, RedisMetrics
from app.core.metrics.sockets import SocketMetrics
from app.core.metrics.spans import SpanMetrics
from app.core.metrics.tasks import TaskMetrics
from app.core.probe import Probe
from app.core.version import VERSION

OPENMETRICS = "application/openmetrics-text"

# The time at which each series began, as one more series each: twice as much to store, and asked for by nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types


class Metrics:
    """One for each application, so that several of them in one interpreter do not count each other's requests."""

    def __init__(self) -> None:
        """Complete but for the pool and the probes, which are followed once they are open."""
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        Info("plinth_build", "The version that runs.", registry=self.registry).info({"version": VERSION})
        self.http = HttpMetrics(self.registry)
        self.rate_limits = RateLimitMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self.redis = RedisMetrics(self.registry)
        self.sockets = SocketMetrics(self.registry)
        self.spans = SpanMetrics(self.registry)
        self.tasks = TaskMetrics(self.registry)
        self.depth = DepthCollector()
        self.registry.register(self.depth)
        self.loop_lag = LoopLag(self.registry)

    def follow_pool(self, stats: Callable[[], PoolStats]) -> None:
        """Ask for the pool's numbers at every scrape: they cost the queries nothing."""
        self.registry.register(PoolCollector(stats))

    def follow_probes(self, *probes: Probe) -> None:
        """Tell the last answer of each probe; none is run for a scrape."""
        self.registry.register(ProbeCollector(probes))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The numbers of this moment and their content type: OpenMetrics for whoever takes it, else text 0.0.4."""
        if OPENMETRICS in accept:
            text = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # has no types
            return text, openmetrics.CONTENT_TYPE_LATEST
        return plain.generate_latest(self.registry), plain.CONTENT_TYPE_PLAIN_0_0_4
