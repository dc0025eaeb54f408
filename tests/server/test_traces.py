"""Traces of a real server, as a real receiver of OTLP gets them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from time import monotonic, time_ns
from typing import Any

import httpx
import pytest

from app.core.ids import new_id
from app.core.tracing.tracing import SEND_TIMEOUT
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.collector import CLIENT, Collector, Span, collecting

ROUTES = "tests.server.traced_routes"
WORD = "GET /traced/words/<word>"
# What a request may wait for the pool is no mistake, and depends on the machine.
WAIT = "wait for a connection"

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"

StartTraced = Callable[..., Awaitable[AppProcess]]


@pytest.fixture
def traced(app_process: StartApp) -> StartTraced:
    """A server that sends its traces to a collector."""

    async def start(collector: Collector, *overrides: str, **options: Any) -> AppProcess:
        endpoint = f"telemetry.otlp_endpoint={collector.url}"
        # A busy machine is no outage of Redis.
        return await app_process(endpoint, "redis.timeout=10", *overrides, module=ROUTES, **options)

    return start


@pytest.mark.engines
async def test_a_request_is_one_trace_with_its_query_and_its_command(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector, "app.name=shop")

        began = time_ns()
        answer = await app.http.get("/traced/words/blue?token=canary", headers={"Traceparent": SAMPLED})
        (span,) = await eventually(collector.requests, within=10)
        query, command = await eventually(lambda: _in_order(collector, span), within=10)
        ended = time_ns()

    assert answer.status_code == 200
    assert (span.name, span.trace, span.parent, span.failed) == (WORD, TRACE, PARENT, False)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/traced/words/<word>",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/traced/words/blue",
        "client.address": "127.0.0.1",
        "request_id": answer.headers["x-request-id"],
    }
    assert {"service.name": "shop", "deployment.environment.name": "testing"}.items() <= span.service.items()
    assert (query.name, query.kind, query.trace, query.failed) == ("select_word", CLIENT, TRACE, False)
    assert query.attributes == {"db.system.name": "postgresql", "db.query.summary": "select_word"}
    assert (command.name, command.kind, command.trace, command.failed) == ("GET", CLIENT, TRACE, False)
    assert command.attributes == {"db.system.name": "redis", "db.operation.name": "GET"}
    assert began < span.began < query.began < query.ended <= command.ended < span.ended < ended
    assert "canary" not in repr(collector.spans)
    assert "blue" not in repr([query, command])


async def test_what_a_task_is_to_carry_names_the_request(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector)

        carried = (await app.http.get("/traced/words/blue")).json()["carried"]
        (span,) = await eventually(collector.requests, within=10)

    assert carried["traceparent"].startswith(f"00-{span.trace}-{span.id}-0")


@pytest.mark.engines
async def test_requests_side_by_side_are_not_mixed_up(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector, "database.pool_max=5", "database.acquire_timeout=60")
        sent = {str(new_id()): f"{number:032x}" for number in range(1, 201)}

        answers = await asyncio.gather(*(_ask(app, request_id, trace) for request_id, trace in sent.items()))
        app.terminate()
        await app.wait(within=30)

    assert Counter(answers) == {200: 200}
    assert {str(span.attributes["request_id"]): span.trace for span in collector.requests()} == sent
    for span in collector.requests():
        below = [child for child in collector.below(span) if child.name != WAIT]
        assert Counter(child.name for child in below) == {"select_word": 1, "GET": 1}
        assert {child.trace for child in collector.below(span)} == {span.trace}
    assert len(collector.named("select_word")) == 200, "none belongs to nobody"


@pytest.mark.engines
async def test_a_caller_that_does_not_trace_is_not_traced(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector)

        await app.http.get("/traced/words/quiet", headers={"Traceparent": NOT_SAMPLED})
        await app.http.get("/traced/words/loud", headers={"Traceparent": SAMPLED})
        app.terminate()
        await app.wait(within=30)

    assert [span.attributes["url.path"] for span in collector.requests()] == ["/traced/words/loud"]
    assert {span.name for span in collector.spans} - {WAIT} == {WORD, "select_word", "GET"}


async def test_a_sample_of_none_leaves_those_whose_caller_traces(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector, "telemetry.sample=0")

        for _ in range(20):
            await app.http.get("/traced/words/quiet")
        await app.http.get("/traced/words/loud", headers={"Traceparent": SAMPLED})
        app.terminate()
        await app.wait(within=30)

    assert [span.attributes["url.path"] for span in collector.requests()] == ["/traced/words/loud"]


@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_stop_sends_what_is_left(traced: StartTraced, loop: str) -> None:
    async with collecting() as collector:
        app = await traced(collector, f"server.event_loop={loop}")

        await asyncio.gather(*(app.http.get("/traced/words/blue") for _ in range(100)))
        app.terminate()
        code = await app.wait(within=30)

    assert code == 0
    assert len(collector.named(WORD)) == 100
    assert [line["resource"] for line in app.events("resource_closed")] == [
        "held",
        "realtime",
        "redis",
        "database",
        "tracing",
    ]


@pytest.mark.engines
async def test_an_error_of_the_service_is_one_in_its_trace(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector)

        crashed = await app.http.get("/test/crash")
        refused = await app.http.get("/traced/broken")
        unknown = await app.http.get("/nowhere/to/be/found")
        odd = await app.http.request("BREW", "/tea")
        app.terminate()
        await app.wait(within=30)

    def of(answer: Any) -> Span:
        return collector.of(answer.headers["x-request-id"])

    assert (of(crashed).name, of(crashed).failed, of(crashed).attributes["error.type"]) == (
        "GET /test/crash",
        True,
        "500",
    )
    (query,) = (span for span in collector.below(of(refused)) if span.name != WAIT)
    assert (query.name, query.failed, query.attributes["error.type"]) == ("textclause", True, "22012")
    assert (of(unknown).name, of(unknown).failed) == ("GET", False)
    assert "http.route" not in of(unknown).attributes
    assert of(unknown).attributes["http.response.status_code"] == 404
    assert (of(odd).name, of(odd).attributes["http.request.method"]) == ("HTTP", "_OTHER")
    assert "canary" not in repr(collector.spans)


@pytest.mark.engines
async def test_probes_and_scrapes_are_not_traced(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector)

        for path in ("/health/live", "/health/ready", "/metrics", "/traced/words/blue"):
            assert (await app.http.get(path, headers={"Traceparent": SAMPLED})).status_code == 200
        app.terminate()
        await app.wait(within=30)

    assert [span.name for span in collector.requests()] == [WORD]


@pytest.mark.engines
async def test_an_answer_without_an_end_shows(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector)

        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):  # with its head, or before it
            await app.http.get("/traced/torn")
        async with app.http.stream("GET", "/test/flood") as answer:
            assert answer.status_code == 200
        (torn,) = await eventually(lambda: collector.named("GET /traced/torn"), within=15)
        (left,) = await eventually(lambda: collector.named("GET /test/flood"), within=15)

    assert (torn.failed, torn.attributes["error.type"], torn.attributes["http.response.status_code"]) == (
        True,
        "broken",
        200,
    )
    assert (left.failed, left.attributes["error.type"]) == (False, "disconnected")


@pytest.mark.engines
async def test_every_line_of_a_requests_log_names_its_trace(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector, "telemetry.sample=0")

        await app.http.get("/test/crash", headers={"Traceparent": NOT_SAMPLED})
        answer = await app.http.get("/test/crash")
        panics = await eventually(lambda: app.events("panic")[1:] and app.events("panic"), within=10)

    assert panics[0]["trace_id"] == TRACE
    assert panics[1]["request_id"] == answer.headers["x-request-id"]
    assert len(panics[1]["trace_id"]) == 32
    assert panics[1]["trace_id"] != TRACE
    assert all("trace_id" in line for line in app.logs if "request_id" in line)


GARBAGE = [
    "",
    "00",
    "garbage",
    "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
    "ff-" + TRACE + "-" + PARENT + "-01",
    f"00-{TRACE}-{PARENT}-zz",
    f"00-{TRACE}-{PARENT}-01-more",
    "00-" + "\xe9" * 32 + "-" + PARENT + "-01",
    "x" * 8000,
]


@pytest.mark.engines
async def test_a_caller_that_sends_garbage_begins_a_trace_of_its_own(traced: StartTraced) -> None:
    async with collecting() as collector:
        app = await traced(collector)

        for garbage in GARBAGE:
            headers = [(b"Traceparent", garbage.encode("latin1")), (b"Tracestate", b"\xff=,=,=" * 50)]
            assert (await app.http.get("/traced/words/blue", headers=headers)).status_code == 200
        twice = [("Traceparent", SAMPLED), ("Traceparent", SAMPLED)]
        assert (await app.http.get("/traced/words/blue", headers=twice)).status_code == 200
        app.terminate()
        await app.wait(within=30)

    spans = collector.requests()
    assert len(spans) == len({span.trace for span in spans}) == len(GARBAGE) + 1
    assert {span.parent for span in spans} == {""}
    assert TRACE not in {span.trace for span in spans}


@pytest.mark.fault
async def test_a_dead_collector_is_felt_by_nobody(traced: StartTraced, own_port: int) -> None:
    collector = Collector(url=f"http://127.0.0.1:{own_port}")
    app = await traced(collector, "server.shutdown_timeout=1")

    answers = await asyncio.gather(*(app.http.get("/traced/words/blue") for _ in range(100)))
    (lost,) = await eventually(lambda: app.events("traces_lost"), within=30)
    slowest = await _slowest(app)
    code, seconds = await _stopped(app)

    assert Counter(answer.status_code for answer in answers) == {200: 100}
    assert lost["spans"] > 0
    assert "Failed to export" in lost["reason"]
    assert slowest < SEND_TIMEOUT, "none has waited for a batch to be given up"
    assert (code, seconds < 10) == (0, True)
    assert len(app.events("traces_lost")) == 1, "later losses wait for a minute to be told"
    assert not any("text" in line for line in app.logs), "no traceback"


@pytest.mark.fault
async def test_a_hanging_collector_is_felt_by_nobody(traced: StartTraced) -> None:
    async with collecting(hangs=True) as collector:
        app = await traced(collector, "server.shutdown_timeout=1")

        answers = await asyncio.gather(*(app.http.get("/traced/words/blue") for _ in range(100)))
        await eventually(lambda: collector.posts, within=30)
        slowest = await _slowest(app)
        code, seconds = await _stopped(app)

    assert Counter(answer.status_code for answer in answers) == {200: 100}
    assert slowest < SEND_TIMEOUT, "none has waited for a batch to be given up"
    assert (code, seconds < 10) == (0, True)
    assert [line["seconds"] for line in app.events("traces_not_flushed")] == [2.0]
    assert not any("text" in line for line in app.logs), "no traceback"


async def test_nothing_is_imported_for_traces_that_are_off(app_process: StartApp, traced: StartTraced) -> None:
    app = await app_process(module=ROUTES, cold=True)
    await app.http.get("/traced/words/blue", headers={"Traceparent": SAMPLED})
    off = (await app.http.get("/traced/modules")).json()
    carried = (await app.http.get("/traced/words/blue")).json()["carried"]

    async with collecting() as collector:
        other = await traced(collector, cold=True)
        on = (await other.http.get("/traced/modules")).json()

    assert off == {"modules": []}
    assert carried == {}
    assert "opentelemetry" in on["modules"]


def _in_order(collector: Collector, parent: Span) -> list[Span]:
    children = [span for span in collector.below(parent) if span.name != WAIT]
    return sorted(children, key=lambda span: span.began) if len(children) == 2 else []


async def _ask(app: AppProcess, request_id: str, trace: str) -> int:
    headers = {"X-Request-Id": request_id, "Traceparent": f"00-{trace}-{PARENT}-01"}
    return (await app.http.get("/traced/words/blue", headers=headers)).status_code


async def _slowest(app: AppProcess) -> float:
    """Seconds of the slowest of some requests, one after the other."""
    slowest = 0.0
    for _ in range(100):
        began = monotonic()
        assert (await app.http.get("/traced/words/blue")).status_code == 200
        slowest = max(slowest, monotonic() - began)
    return slowest


async def _stopped(app: AppProcess) -> tuple[int, float]:
    began = monotonic()
    app.terminate()
    return await app.wait(within=30), monotonic() - began
