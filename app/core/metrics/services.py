"""Counts and times what is asked of PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram

# Seconds. A primary key is found in half a millisecond; `database.command_timeout` as it comes is 10 s.
QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Seconds. A free connection is had in microseconds; `database.acquire_timeout` as it comes is 5 s.
ACQUIRE_BUCKETS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# Seconds. Redis answers in a quarter of a millisecond, and nobody waits longer than `redis.timeout`.
COMMAND_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
# How many names of their own queries or commands may have. The code names them, so that this many are a mistake in
# it, which must not fill Prometheus: those beyond are counted together.
MOST_NAMES = 1000
OTHER = "other"

Count = Callable[[], None]
Observe = Callable[[float], None]


class Timed:
    """A counter by name and outcome, and a histogram by name; labels are looked up once for each that differs."""

    def __init__(self, counter: Counter, histogram: Histogram) -> None:
        self._counter = counter
        self._histogram = histogram
        self._known: dict[tuple[str, str], tuple[Count, Observe]] = {}

    def add(self, name: str, outcome: str, seconds: float) -> None:
        count, observe = self._known.get((name, outcome)) or self._learn(name, outcome)
        count()
        observe(seconds)

    def _learn(self, name: str, outcome: str) -> tuple[Count, Observe]:
        if len(self._known) >= MOST_NAMES:
            return self._counter.labels(OTHER, OTHER).inc, self._histogram.labels(OTHER).observe
        known = self._counter.labels(name, outcome).inc, self._histogram.labels(name).observe
        self._known[name, outcome] = known
        return known


class DatabaseMetrics:
    """A `DatabaseObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._acquire = Histogram(
            "plinth_database_pool_acquire_seconds",
            "Time that queries and transactions waited for a connection.",
            buckets=ACQUIRE_BUCKETS,
            registry=registry,
        )
        counter = Counter("plinth_database_queries", "Queries ended.", ["statement", "outcome"], registry=registry)
        histogram = Histogram(
            "plinth_database_query_duration_seconds",
            "Time from a query's sending to its answer.",
            ["statement"],
            buckets=QUERY_BUCKETS,
            registry=registry,
        )
        self._queries = Timed(counter, histogram)

    def acquired(self, seconds: float) -> None:
        self._acquire.observe(seconds)

    def queried(self, name: str, outcome: str, seconds: float) -> None:
        self._queries.add(name, outcome, seconds)


class RedisMetrics:
    """A `RedisObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter("plinth_redis_commands", "Commands ended.", ["command", "outcome"], registry=registry)
        histogram = Histogram(
            "plinth_redis_command_duration_seconds",
            "Time from a command's sending to its answer.",
            ["command"],
            buckets=COMMAND_BUCKETS,
            registry=registry,
        )
        self._commands = Timed(counter, histogram)

    def commanded(self, command: str, outcome: str, seconds: float) -> None:
        self._commands.add(command, outcome, seconds)
