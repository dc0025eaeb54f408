"""Traces of requests, queries and commands: none, unless a collector is named; OpenTelemetry is imported only then."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.core.metrics import Metrics
from app.core.settings import Settings

if TYPE_CHECKING:  # imported where traces are on: it costs a tenth of a second and 11 MB
    from opentelemetry.context import Context

    from app.core.tracing.tracing import Tracing

# Whoever traces has imported it: where it is missing there is no trace.
CARRIER = "app.core.tracing.carrier"

__all__ = ["extract", "inject", "open_tracing"]


@asynccontextmanager
async def open_tracing(settings: Settings, metrics: Metrics) -> AsyncIterator[Tracing]:
    """Needs `telemetry.otlp_endpoint`; at the end, what has not been sent yet is, within a bound."""
    from app.core.tracing.tracing import Tracing  # noqa: PLC0415  (see the top)

    tracing = Tracing(settings, metrics.spans)
    try:
        yield tracing
    finally:
        await tracing.close()


def inject() -> dict[str, str]:
    """The trace that runs now, to be kept with a task or an event; empty where there is none."""
    if CARRIER not in sys.modules:
        return {}
    from app.core.tracing import carrier  # noqa: PLC0415  (see the top)

    return carrier.inject()


def extract(kept: Mapping[str, str]) -> Context | None:
    """What `inject` gave, as the parent of the spans to come; None where nothing is traced."""
    if CARRIER not in sys.modules:
        return None
    from app.core.tracing import carrier  # noqa: PLC0415  (see the top)

    return carrier.extract(kept)
