"""Sends spans, and says at most once a minute that it can't."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from app.core.clock import Clock, SystemClock
from app.core.metrics.spans import SpanMetrics

log = structlog.get_logger(__name__)

QUIET = 60.0  # seconds between two lines about the same trouble
LIBRARY = "opentelemetry"


class LastWord(logging.Handler):
    """Keeps the library's last complaint instead of printing each one with its trace."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


class Reporting(SpanExporter):
    """Around the exporter that does the work; called by the thread that sends."""

    def __init__(self, exporter: SpanExporter, metrics: SpanMetrics, *, clock: Clock | None = None) -> None:
        self._exporter = exporter
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._lost = 0
        self._told: float | None = None
        self._last_word = LastWord()
        library = logging.getLogger(LIBRARY)
        library.addHandler(self._last_word)
        library.propagate = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001  (whatever a collector does to the library, the thread goes on)
            self._last_word.text = type(error).__name__
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._metrics.exported("sent", len(spans))
        else:
            self._metrics.exported("lost", len(spans))
            self._report(len(spans))
        return result

    def _report(self, spans: int) -> None:
        self._lost += spans
        now = self._clock.monotonic()
        if self._told is None or now - self._told >= QUIET:
            log.warning("traces_lost", spans=self._lost, reason=self._last_word.text)
            self._told, self._lost = now, 0

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def close(self) -> None:
        """Give the library its log back."""
        library = logging.getLogger(LIBRARY)
        library.removeHandler(self._last_word)
        library.propagate = bool(not library.handlers)
