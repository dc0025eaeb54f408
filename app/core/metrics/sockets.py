"""Counts sockets and what goes through them, and how long a push takes from one instance to another.

No label holds anything that a client has made up: reasons and codes are of fixed sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Seconds; within one machine a push takes about a millisecond, and after two seconds nobody calls it realtime.
LAG_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2)

REGISTERED = range(1000, 1016)  # close codes that have a meaning of their own (RFC 6455, 11.7)
OTHER = "other"


class Waiting(Protocol):
    """A connection, as far as its queue is concerned."""

    @property
    def waiting(self) -> int:
        """Bytes that its peer has not taken yet."""


class SocketMetrics:
    """What the WebSocket edge tells; methods return at once and never raise."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._wires: Iterable[Waiting] = ()
        gauge = self._asked(registry)
        gauge("plinth_websocket_connections", "Open sockets.", len)
        gauge("plinth_websocket_queue_bytes", "Bytes that wait for peers, all sockets together.", sum)
        gauge(
            "plinth_websocket_queue_bytes_fullest",
            "Bytes that wait for the slowest peer.",
            lambda all_: max(all_, default=0),
        )
        self._accepted = Counter("plinth_websocket_accepted", "Sockets opened.", registry=registry)
        self._refused = Counter("plinth_websocket_refused", "Handshakes refused.", ["reason"], registry=registry)
        self._closed = Counter("plinth_websocket_closed", "Sockets ended.", ["code"], registry=registry)
        self._dropped = Counter(
            "plinth_websocket_dropped", "Sockets that the server gave up.", ["reason"], registry=registry
        )
        self._silent = Counter(
            "plinth_websocket_heartbeat_timeouts", "Peers that gave no sign of life in time.", registry=registry
        )
        self._received = Counter("plinth_websocket_messages_received", "Messages of clients.", registry=registry)
        self._sent = Counter("plinth_websocket_messages_sent", "Messages to clients.", registry=registry)
        self._faulty = Counter(
            "plinth_websocket_messages_refused", "Messages answered with an error.", ["code"], registry=registry
        )
        self._published = Counter(
            "plinth_realtime_published", "Pushes handed to Redis.", ["outcome"], registry=registry
        )
        self._resyncs = Counter(
            "plinth_realtime_resyncs",
            "Times a topic's listeners were told that they may have missed something.",
            registry=registry,
        )
        self._lag = Histogram(
            "plinth_realtime_fanout_lag_seconds",
            "Time from a push, on any instance, to its delivery on this one; by the clock of Redis and ours.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._connected = Gauge(
            "plinth_realtime_connected", "1 while pushes of other instances arrive.", registry=registry
        )

    def _asked(self, registry: CollectorRegistry) -> Callable[[str, str, Callable[[list[int]], float]], None]:
        def gauge(name: str, text: str, of: Callable[[list[int]], float]) -> None:
            Gauge(name, text, registry=registry).set_function(lambda: of([wire.waiting for wire in self._wires]))

        return gauge

    def follow(self, wires: Iterable[Waiting]) -> None:
        """Ask these at every scrape."""
        self._wires = wires

    def accepted(self) -> None:
        """A handshake was answered with 101."""
        self._accepted.inc()

    def refused(self, reason: str) -> None:
        """A handshake was answered otherwise: `origin`, `unauthorized`, `address`, `user`, `process`, ..."""
        self._refused.labels(reason).inc()

    def closed(self, code: int) -> None:
        """A socket has ended, with the close code that was given first; clients may make up codes from 3000 on."""
        self._closed.labels(str(code) if code in REGISTERED else OTHER).inc()

    def dropped(self, reason: str) -> None:
        """The server gave a socket up: `slow` (too much waits), `stalled` (takes nothing), `flood`, `silent`."""
        self._dropped.labels(reason).inc()
        if reason == "silent":
            self._silent.inc()

    def received(self) -> None:
        """A whole message of a client has come."""
        self._received.inc()

    def sent(self, messages: int) -> None:
        """So many messages were written."""
        self._sent.inc(messages)

    def faulty(self, code: str) -> None:
        """A client's message was answered with an error frame of this code."""
        self._faulty.labels(code).inc()

    def published(self, outcome: str) -> None:
        """A push was handed to Redis: `ok`, or `unavailable` where its loss is announced later."""
        self._published.labels(outcome).inc()

    def resynced(self) -> None:
        """The listeners of a topic were told to fetch anew."""
        self._resyncs.inc()

    def delivered(self, lag: float) -> None:
        """A push of `lag` seconds ago was written to those who listen here."""
        self._lag.observe(max(lag, 0.0))

    def connected(self, *, is_so: bool) -> None:
        """Whether pushes of other instances arrive."""
        self._connected.set(int(is_so))
