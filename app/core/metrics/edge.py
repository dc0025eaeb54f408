"""Counts requests, and the decisions of the rate limits.

No label holds anything that a client has made up: a path is the template of its route, and a method one of a fixed set.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
OTHER = "other"  # a method that is none of these
NONE = "none"  # no route has answered
# Seconds. From the quickest answer (about 1 ms) to `server.request_timeout` as it comes (30), beyond which nothing
# runs; two or three steps for each power of ten keep a quantile's error below half its value.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

Count = Callable[[], None]
Observe = Callable[[float], None]


class HttpMetrics:
    """What the edge tells of each request; labels are looked up once for each that differs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_flight = 0
        self._requests = Counter(
            "plinth_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "plinth_http_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=registry,
        )
        running = Gauge("plinth_http_requests_in_flight", "Requests being worked on.", registry=registry)
        running.set_function(lambda: self.in_flight)
        self._known: dict[tuple[str, str, int], tuple[Count, Observe]] = {}

    def began(self) -> None:
        """A request's head has come."""
        self.in_flight += 1

    def ended(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Its answer was sent, or nobody is left to take one."""
        self.in_flight -= 1
        key = (method if method in METHODS else OTHER, route or NONE, status)
        count, observe = self._known.get(key) or self._learn(key)
        count()
        observe(seconds)

    def _learn(self, key: tuple[str, str, int]) -> tuple[Count, Observe]:
        method, route, status = key
        counter = self._requests.labels(method, route, str(status))
        known = self._known[key] = counter.inc, self._seconds.labels(method, route).observe
        return known


class RateLimitMetrics:
    """What the rate limits decide."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Counter(
            "plinth_rate_limit_decisions", "Requests held against a limit.", ["route", "outcome"], registry=registry
        )
        self._known: dict[tuple[str, str], Count] = {}

    def decided(self, route: str, outcome: str) -> None:
        """A request to `route` was let through, refused, or could not be counted."""
        key = (route or NONE, outcome)
        if key not in self._known:
            self._known[key] = self._decisions.labels(*key).inc
        self._known[key]()
