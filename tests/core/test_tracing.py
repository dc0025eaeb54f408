"""The parts of tracing that need no server: what comes in, what is carried on, what is said of a loss."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import get_current_span

from app.core.lifecycle import Lifecycle
from app.core.metrics import Metrics
from app.core.resources import open_resources
from app.core.settings import Settings
from app.core.tracing import extract, inject
from app.core.tracing.carrier import extract as extract_headers
from app.core.tracing.export import QUIET, Reporting
from app.core.tracing.tracing import BATCH, QUEUE, Tracing
from app.features import health
from app.server.app import create_app
from app.web.tracing import Traces
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.server.collector import Collector, collecting

HEADERS = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "shop=1"}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


@given(parent=st.text(max_size=80), state=st.text(max_size=80))
def test_no_header_breaks_a_request(parent: str, state: str) -> None:
    context = extract_headers({"traceparent": parent, "tracestate": state})

    assert not get_current_span(context).is_recording()


@given(
    version=st.sampled_from(["00", "01", "fe", "ff"]),
    trace=st.text("0123456789abcdefX", min_size=31, max_size=33),
    parent=st.text("0123456789abcdefX", min_size=15, max_size=17),
    flags=st.text("0123456789abcdefX", min_size=1, max_size=3),
)
def test_a_header_is_taken_whole_or_not_at_all(version: str, trace: str, parent: str, flags: str) -> None:
    found = get_current_span(extract_headers({"traceparent": f"{version}-{trace}-{parent}-{flags}"}))

    context = found.get_span_context()
    assert not context.is_valid or (f"{context.trace_id:032x}", f"{context.span_id:016x}") == (trace, parent)


def test_what_was_carried_is_the_parent_of_what_follows() -> None:
    token = attach(extract_headers(HEADERS))

    carried = inject()
    detach(token)
    parent = extract(carried)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("later").start_span("task", parent)

    assert carried == HEADERS
    assert inject() == {}
    assert f"{span.get_span_context().trace_id:032x}" == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_where_nothing_is_traced_nothing_is_carried_or_imported() -> None:
    code = (
        "import sys; from app.core.tracing import extract, inject;"
        "assert inject() == {} and extract({'traceparent': 'x'}) is None;"
        "import app.server, app.bootstrap; sys.exit('opentelemetry' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_the_layer_stands_in_the_app_only_where_traces_are_on(
    settings: TestSettings, collector: Collector
) -> None:
    off = await _layers(settings())
    on = await _layers(settings(f"telemetry.otlp_endpoint={collector.url}"))

    assert Traces not in off
    assert len(off) > 3
    assert [layer for layer in on if layer is not Traces] == off
    assert on.count(Traces) == 1


async def _layers(settings: Settings) -> list[type]:
    """What a request goes through, from the outside in."""
    async with open_resources(settings, Lifecycle()) as opened:
        lifecycle, metrics, tracing = opened.lifecycle, opened.metrics, opened.tracing
        layer: object = create_app(
            settings, [health.feature], lifecycle=lifecycle, metrics=metrics, tracing=tracing
        ).asgi_app
    found = []
    while layer is not None:
        found.append(type(layer))
        layer = getattr(layer, "app", None)
    return found


def _spans(count: int) -> list[ReadableSpan]:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    spans = [tracer.start_span(f"span {number}") for number in range(count)]
    for span in spans:
        span.end()
    return [span for span in spans if isinstance(span, ReadableSpan)]


def test_losses_are_told_once_a_minute_and_all_of_them(clock: FakeClock, own_port: int) -> None:
    metrics = Metrics()
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{own_port}/v1/traces", timeout=0.1)
    reporting = Reporting(exporter, metrics.spans, clock=clock)
    try:
        with structlog.testing.capture_logs() as logs:
            reporting.export(_spans(3))
            clock.advance(QUIET - 1)
            for _ in range(5):
                reporting.export(_spans(2))
            clock.advance(1)
            reporting.export(_spans(1))
    finally:
        reporting.close()

    assert [(line["event"], line["spans"]) for line in logs] == [("traces_lost", 3), ("traces_lost", 11)]
    assert all("Failed to export" in line["reason"] for line in logs)
    assert metrics.registry.get_sample_value("plinth_trace_spans_total", {"outcome": "lost"}) == 14


def test_the_library_says_nothing_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    library = logging.getLogger("opentelemetry.sdk.trace.export")
    reporting = Reporting(OTLPSpanExporter(endpoint="http://127.0.0.1:1/v1/traces"), Metrics().spans)

    library.warning("within")
    reporting.close()
    library.warning("after")

    assert [record.getMessage() for record in caplog.records] == ["after"]


async def test_spans_end_with_what_they_are_of(settings: TestSettings, collector: Collector) -> None:
    tracing = Tracing(settings(f"telemetry.otlp_endpoint={collector.url}"), Metrics().spans)

    tracing.database.queried("at_the_start", "ok", 0.001)
    with tracing.request("GET", {}) as span:
        span.answered("/notes", 200)
        tracing.redis.commanded("GET", "unavailable", 0.25)
        tracing.database.acquired(0.0001)
        tracing.database.acquired(0.75)
    tracing.database.queried("after_the_end", "ok", 0.001)
    await tracing.close()

    assert sorted(span.name for span in collector.spans) == ["GET", "GET /notes", "wait for a connection"]
    (command,) = collector.named("GET")
    assert (command.failed, command.attributes["error.type"]) == (True, "unavailable")
    assert command.ended - command.began == 250_000_000
    (wait,) = collector.named("wait for a connection")
    assert wait.ended - wait.began == 750_000_000


@pytest.mark.fault
async def test_what_a_hanging_collector_does_not_take_fills_no_memory(settings: TestSettings) -> None:
    async with collecting(hangs=True) as collector:
        tracing = Tracing(settings(f"telemetry.otlp_endpoint={collector.url}"), Metrics().spans)
        _ask(tracing, BATCH)
        await eventually(lambda: collector.posts, within=10)

        _ask(tracing, 3 * QUEUE)
        collector.released.set()
        await tracing.close()

    assert 0 < len(collector.spans) <= BATCH + QUEUE


def _ask(tracing: Tracing, times: int) -> None:
    for _ in range(times):
        with tracing.request("GET", {}) as span:
            span.answered("/notes", 200)


async def test_a_long_path_is_cut(settings: TestSettings, collector: Collector) -> None:
    tracing = Tracing(settings(f"telemetry.otlp_endpoint={collector.url}"), Metrics().spans)

    with tracing.request("GET", {}) as span:
        span.asked(request_id="1", client="", scheme="http", path="/" + "x" * 60_000)
        span.answered(None, 404)
    await tracing.close()

    (sent,) = collector.spans
    assert len(str(sent.attributes["url.path"])) == 1024
