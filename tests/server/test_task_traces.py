"""A real server that asks for work and a real worker that does it: one trace, and one request id in both logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.collector import CONSUMER, PRODUCER, Collector, Span, collecting
from tests.server.traced_tasks import BREAK, FOLLOW, REMIND, WRITTEN

TASKS = "tests.server.traced_tasks"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
PATIENCE = 30.0  # a busy machine starts two processes slowly


@dataclass
class Pair:
    """A server and a worker, which send their traces to one collector."""

    collector: Collector
    server: AppProcess
    worker: AppProcess

    async def one(self, name: str) -> Span:
        (span,) = await eventually(lambda: self.collector.named(name), within=PATIENCE)
        return span

    def above(self, span: Span) -> list[str]:
        """The names of all that it belongs to, itself first."""
        by_id = {each.id: each for each in self.collector.spans}
        names = [span.name]
        while span.parent in by_id:
            span = by_id[span.parent]
            names.append(span.name)
        return names


@pytest.fixture
async def pair(app_process: StartApp, worker_process: StartApp) -> AsyncIterator[Pair]:
    async with collecting() as collector:
        to_it = f"telemetry.otlp_endpoint={collector.url}"
        server = await app_process(to_it, "redis.timeout=10", module=TASKS)
        worker = await worker_process(to_it, "redis.timeout=10", module=TASKS)
        yield Pair(collector, server, worker)


async def test_a_request_its_task_and_the_tasks_query_are_one_trace(pair: Pair) -> None:
    answer = await pair.server.http.post("/traced/tasks/remind", headers={"Traceparent": SAMPLED})
    query = await pair.one("select_note_of_task")
    run, request = await pair.one(REMIND.name), await pair.one("POST /traced/tasks/remind")
    asked = await pair.one(f"enqueue {REMIND.name}")

    assert pair.above(query) == [
        "select_note_of_task",
        REMIND.name,
        f"enqueue {REMIND.name}",
        "POST /traced/tasks/remind",
    ]
    assert {query.trace, run.trace, asked.trace, request.trace} == {TRACE}
    assert (run.kind, run.failed, asked.kind, asked.failed) == (CONSUMER, False, PRODUCER, False)
    assert request.began < asked.began < run.began < query.began < query.ended < run.ended
    assert run.attributes == {
        "messaging.system": "plinth",
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
        "messaging.destination.name": REMIND.name,
        "messaging.message.id": answer.json()["id"],
        "attempt": 1,
        "request_id": answer.headers["x-request-id"],
        "outcome": "done",
    }
    assert asked.attributes == {
        "messaging.system": "plinth",
        "messaging.operation.type": "send",
        "messaging.operation.name": "enqueue",
        "messaging.destination.name": REMIND.name,
    }


async def test_a_task_that_a_task_asks_for_belongs_to_the_same_trace(pair: Pair) -> None:
    await pair.server.http.post("/traced/tasks/remind", headers={"Traceparent": SAMPLED})
    query = await pair.one("select_followed_note")
    await pair.one(FOLLOW.name)
    await pair.one(REMIND.name)
    await pair.one("POST /traced/tasks/remind")

    assert pair.above(query) == [
        "select_followed_note",
        FOLLOW.name,
        f"enqueue {FOLLOW.name}",
        REMIND.name,
        f"enqueue {REMIND.name}",
        "POST /traced/tasks/remind",
    ]


async def test_an_event_and_its_subscribers_run_are_one_trace(pair: Pair) -> None:
    await pair.server.http.post("/traced/tasks/written", headers={"Traceparent": SAMPLED})
    query = await pair.one("select_heard_note")
    await pair.one("POST /traced/tasks/written")
    await pair.one("traced.hear")

    assert pair.above(query) == [
        "select_heard_note",
        "traced.hear",
        f"publish {WRITTEN.name}",
        "POST /traced/tasks/written",
    ]
    assert query.trace == TRACE


async def test_how_a_run_ended_shows_in_its_span(pair: Pair) -> None:
    query = "text=fail&text=discard&text=later&text=well"  # in this order
    ids = (await pair.server.http.post(f"/traced/tasks/break?{query}")).json()["ids"]
    spans = await eventually(lambda: _runs(pair, BREAK.name, 5), within=PATIENCE)
    asked = await pair.one(f"enqueue {BREAK.name}")

    def of(number: int) -> list[tuple[object, object, bool]]:
        mine = [span for span in spans if span.attributes["messaging.message.id"] == ids[number]]
        return [(span.attributes["outcome"], span.attributes.get("error.type"), span.failed) for span in mine]

    assert of(0) == [("dead", "LookupError", True)]
    assert of(1) == [("dead", "Discard", True)]
    assert of(2) == [("later", None, False), ("done", None, False)]
    assert of(3) == [("done", None, False)]
    assert asked.attributes["messaging.batch.message_count"] == 4
    assert {span.parent for span in spans} == {asked.id}
    assert {line["trace_id"] for line in pair.worker.events("task_dead")} == {asked.trace}
    assert "canary" not in repr(pair.collector.spans)


async def test_what_its_caller_does_not_trace_is_not_traced_in_the_worker(pair: Pair) -> None:
    await pair.server.http.post("/traced/tasks/remind", headers={"Traceparent": NOT_SAMPLED})
    lines = await eventually(lambda: pair.worker.events("followed"), within=PATIENCE)
    await pair.server.http.post("/traced/tasks/written", headers={"Traceparent": SAMPLED})
    await pair.one("traced.hear")

    assert pair.collector.named(REMIND.name) == pair.collector.named(FOLLOW.name) == []
    assert [line["trace_id"] for line in lines] == [TRACE], "it has one, for the log"


async def test_the_workers_own_work_is_no_trace(pair: Pair) -> None:
    await pair.server.http.post("/traced/tasks/remind")
    await pair.one(FOLLOW.name)
    await pair.one("POST /traced/tasks/remind")
    pair.worker.terminate()
    await pair.worker.wait(within=PATIENCE)

    roots = [span for span in pair.collector.spans if not span.parent]
    assert {span.name for span in roots} == {"POST /traced/tasks/remind"}
    assert pair.collector.named("claim_tasks") == pair.collector.named("select_queued_tasks") == []


async def test_the_log_of_a_run_names_the_request_and_the_task(app_process: StartApp, worker_process: StartApp) -> None:
    server = await app_process(module=TASKS)
    worker = await worker_process("log.level=debug", module=TASKS, cold=True)

    answer = await server.http.post("/traced/tasks/remind", headers={"Traceparent": SAMPLED})
    event = await server.http.post("/traced/tasks/written")
    broken = await server.http.post("/traced/tasks/break?text=fail")
    (followed,) = await eventually(lambda: worker.events("followed"), within=PATIENCE)
    (heard,) = await eventually(lambda: worker.events("heard"), within=PATIENCE)
    (dead,) = await eventually(lambda: worker.events("task_dead"), within=PATIENCE)
    done = await eventually(lambda: worker.events("task_done")[2:] and worker.events("task_done"), within=PATIENCE)
    (reminded,) = worker.events("reminded")

    request_id, task_id = answer.headers["x-request-id"], answer.json()["id"]
    assert (reminded["request_id"], reminded["task_id"]) == (request_id, task_id)
    assert (reminded["task_type"], reminded["attempt"]) == (REMIND.name, 1)
    assert (followed["request_id"], followed["task_type"]) == (request_id, FOLLOW.name)
    assert followed["task_id"] != task_id
    assert (heard["request_id"], heard["task_type"]) == (event.headers["x-request-id"], "traced.hear")
    assert (dead["request_id"], dead["task_id"]) == (broken.headers["x-request-id"], broken.json()["ids"][0])
    assert {line["task_id"]: line["request_id"] for line in done} == {
        line["task_id"]: line["request_id"] for line in (reminded, followed, heard)
    }
    assert not any("traceparent" in line or "trace_id" in line for line in worker.logs)
    assert followed["modules"] == [], "nothing is imported for traces that are off"


def _runs(pair: Pair, name: str, count: int) -> list[Span]:
    found = sorted(pair.collector.named(name), key=lambda span: span.began)
    return found if len(found) == count else []
