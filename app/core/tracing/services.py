"""Spans of queries and commands, made when they have ended: by their names, never their text or values."""

from __future__ import annotations

from time import time_ns

from opentelemetry.trace import SpanKind, StatusCode, Tracer, get_current_span

NANOSECONDS = 1_000_000_000
# Below it a free connection was there; above it the wait is what somebody looks for in the trace.
WAITED = 0.001  # seconds
POSTGRESQL = {"db.system.name": "postgresql"}


class DatabaseSpans:
    """A `DatabaseObserver`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def acquired(self, seconds: float) -> None:
        if seconds >= WAITED:
            _record(self._tracer, "wait for a connection", POSTGRESQL, "ok", seconds)

    def queried(self, name: str, outcome: str, seconds: float) -> None:
        _record(self._tracer, name, {**POSTGRESQL, "db.query.summary": name}, outcome, seconds)


class RedisSpans:
    """A `RedisObserver`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def commanded(self, command: str, outcome: str, seconds: float) -> None:
        attributes = {"db.system.name": "redis", "db.operation.name": command}
        _record(self._tracer, command, attributes, outcome, seconds)


def _record(tracer: Tracer, name: str, attributes: dict[str, str], outcome: str, seconds: float) -> None:
    """A child of what runs now; what runs by itself (a start, a probe) has no trace to belong to."""
    if not get_current_span().is_recording():
        return
    ended = time_ns()
    began = ended - int(seconds * NANOSECONDS)
    span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes, start_time=began)
    if outcome != "ok":
        span.set_attribute("error.type", outcome)
        span.set_status(StatusCode.ERROR)
    span.end(ended)
