"""The trace's context as headers (W3C Trace Context), on its way in and out of the process."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_w3c = TraceContextTextMapPropagator()


def inject() -> dict[str, str]:
    """`traceparent`, and `tracestate` where there is one; empty outside of a trace."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier)
    return carrier


def extract(carrier: Mapping[str, str]) -> Context:
    """An empty context where the headers are missing or not what W3C says: then a new trace begins."""
    return _w3c.extract(carrier, Context())
