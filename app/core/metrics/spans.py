"""Counts what becomes of the spans of traces."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class SpanMetrics:
    """Told by the exporter, from its own thread; without traces there is nothing to tell."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._spans = Counter("plinth_trace_spans", "Spans handed to the collector.", ["outcome"], registry=registry)

    def exported(self, outcome: str, spans: int) -> None:
        """`outcome` is `sent` or `lost`."""
        self._spans.labels(outcome).inc(spans)
