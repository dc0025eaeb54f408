"""Spans, in the terms of OpenTelemetry's semantic conventions, sent to a collector in batches by a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import structlog
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, set_span_in_context, use_span

from app.core.metrics.spans import SpanMetrics
from app.core.settings import Settings
from app.core.tracing.carrier import extract
from app.core.tracing.export import Reporting
from app.core.tracing.messages import RunSpan, run_attributes, sending_attributes
from app.core.tracing.request import RequestSpan
from app.core.tracing.services import DatabaseSpans, RedisSpans
from app.core.version import VERSION

log = structlog.get_logger(__name__)

PATH = "/v1/traces"  # OTLP over HTTP, beneath the collector's base address
SEND_EVERY = 1000  # milliseconds; a trace can be looked at while one still remembers the request
BATCH = 128  # spans; about 4 ms of encoding, for which the thread competes with requests
QUEUE = 4096  # spans, about 12 MB; with a collector that is slow or gone, the oldest are dropped beyond it
SEND_TIMEOUT = 5.0  # seconds for one batch, its retries included
FLUSH_TIMEOUT = 2.0  # seconds that a collector may add to a stop
LONGEST_VALUE = 1024  # characters of an attribute; a path may have 60,000


class Tracing:
    """What one process traces; made only where `telemetry.otlp_endpoint` is set."""

    def __init__(self, settings: Settings, metrics: SpanMetrics) -> None:
        telemetry = settings.telemetry
        exporter = OTLPSpanExporter(endpoint=telemetry.otlp_endpoint + PATH, timeout=SEND_TIMEOUT)
        self._exporter = Reporting(exporter, metrics)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(telemetry.sample)),
            resource=_resource(settings),
            span_limits=SpanLimits(max_span_attribute_length=LONGEST_VALUE),
            shutdown_on_exit=False,  # `close` does it, within a bound
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter, max_queue_size=QUEUE, schedule_delay_millis=SEND_EVERY, max_export_batch_size=BATCH
            )
        )
        self._tracer = self._provider.get_tracer("plinth", VERSION)
        self.database = DatabaseSpans(self._tracer)
        self.redis = RedisSpans(self._tracer)

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
        """The span of a request, and the parent of all that its handler does; continues its caller's trace."""
        parent = extract(headers)
        span = self._tracer.start_span(method, parent, kind=SpanKind.SERVER)
        request = RequestSpan(span, method)
        token = attach(set_span_in_context(span, parent))
        try:
            yield request
        finally:
            if not request.forgotten:
                span.end()
            detach(token)

    @contextmanager
    def sending(self, operation: str, name: str, messages: int) -> Iterator[None]:
        """The span of asking for tasks or telling of an event: what is kept inside of it leads their runs here.

        What runs by itself (a schedule, a command) begins no trace with it: each run has its own.
        """
        if not get_current_span().is_recording():
            yield
            return
        attributes = sending_attributes(operation, name, messages)
        span = self._tracer.start_span(f"{operation} {name}", kind=SpanKind.PRODUCER, attributes=attributes)
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    @contextmanager
    def run(self, task_type: str, kept: Mapping[str, str], *, task_id: str, attempt: int) -> Iterator[RunSpan]:
        """The span of one run of a task, and the parent of all that its handler does; `kept` is what `inject` gave."""
        attributes = run_attributes(task_type, task_id, attempt, kept.get("request_id"))
        span = self._tracer.start_span(task_type, extract(kept), kind=SpanKind.CONSUMER, attributes=attributes)
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield RunSpan(span)

    async def close(self) -> None:
        """Send what is left. A collector that does not take it in time loses it: the stop does not wait longer."""
        sent = asyncio.Event()
        # A daemon: the interpreter waits for any other thread, an executor's too, however long it hangs.
        flush = threading.Thread(target=self._shut_down, args=(asyncio.get_running_loop(), sent), daemon=True)
        flush.start()
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await sent.wait()
        except TimeoutError:
            log.warning("traces_not_flushed", seconds=FLUSH_TIMEOUT)
        finally:
            self._exporter.close()

    def _shut_down(self, loop: asyncio.AbstractEventLoop, sent: asyncio.Event) -> None:
        self._provider.shutdown()
        with suppress(RuntimeError):  # the loop has not waited, and is closed
            loop.call_soon_threadsafe(sent.set)


def _resource(settings: Settings) -> Resource:
    return Resource.create(
        {
            "service.name": settings.app.name,
            "service.version": VERSION,
            "deployment.environment.name": str(settings.environment),
        }
    )
