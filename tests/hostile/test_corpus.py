"""Hundreds of connections that are not meant well, against the real process: each gets its answer, and harms nobody."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
import pytest

from app.core.errors import CATALOGUE
from app.core.settings.sections.server import HttpEngine
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.hostile import connections, headers, json_bodies, lengths, request_lines, targets, upgrades
from tests.hostile.case import Case
from tests.hostile.on_uvicorn import STRICTER, as_uvicorn_answers
from tests.hostile.wire import Answer, Outcome, play
from tests.server.at_rest import at_rest

TABLES = (request_lines, headers, targets, lengths, json_bodies, connections, upgrades)
KINDS = {(kind.code, kind.status) for kind in CATALOGUE}
DECLARED = {501, 503}  # the only answers above 500 that a client may cause


def corpus(engine: HttpEngine = HttpEngine.HYPERCORN) -> list[Case]:
    cases = [case for table in TABLES for case in table.cases()]
    return as_uvicorn_answers(cases) if engine is HttpEngine.UVICORN else cases


def address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def test_the_corpus_has_hundreds_of_distinct_cases() -> None:
    cases = corpus()

    assert len({case.sent for case in cases}) > 400
    assert [name for name, count in Counter(case.name for case in cases).items() if count > 1] == []
    assert {case.name for case in cases} >= STRICTER


@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_every_case_gets_its_answer_and_the_server_lives(
    app_process: StartApp, figure: Callable[[str], None], engine: HttpEngine, loop: str
) -> None:
    app = await app_process(
        "server.request_timeout=3",
        "server.keep_alive_timeout=3",
        "rate_limit.enabled=false",
        f"server.event_loop={loop}",
    )
    await eventually(lambda: app.events("realtime_connected"), within=20)  # which takes two tasks
    before = await at_rest(lambda: _held(app))
    began = asyncio.get_running_loop().time()

    outcomes = await play(address_of(app.url), corpus(engine))

    seconds = asyncio.get_running_loop().time() - began
    figure(f"hostile corpus on {engine} and {loop}: {len(outcomes)} cases in {seconds:.1f} s")
    faults = [line for outcome in outcomes for line in _faults(outcome)]
    assert not faults, "\n".join(faults)
    assert (await app.http.get("/health/live")).status_code == 200
    await eventually(lambda: _nothing_more_than(app, before), within=20)
    assert [line for line in app.logs if line.get("level") in {"error", "critical"} or "text" in line] == []


async def _held(app: AppProcess) -> dict[str, Any]:
    """What the process holds while nobody else asks it anything."""
    inside = (await app.http.get("/test/inside")).json()
    return {
        "pid": inside["pid"],
        "tasks": inside["tasks"],
        "requests": inside["requests"],
        "connections": len(psutil.Process(app.pid).net_connections("tcp")),
    }


async def _nothing_more_than(app: AppProcess, before: dict[str, Any]) -> bool:
    now = await _held(app)
    assert now == before, f"{now} instead of {before}"
    return True


def _faults(outcome: Outcome) -> list[str]:
    """What is wrong with what came back, one line each."""
    name = outcome.case.name
    found = [outcome.trouble] if outcome.trouble else []
    if not outcome.as_expected:
        found.append(f"answered {outcome.statuses} instead of {outcome.case.statuses}")
    found += [fault for answer in outcome.answers for fault in _unlike_ours(answer, bodiless=outcome.case.bodiless)]
    return [f"{name}: {fault}" for fault in found]


def _unlike_ours(answer: Answer, *, bodiless: bool) -> list[str]:
    found = []
    if "x-request-id" not in answer.headers:
        found.append("no X-Request-Id")
    if answer.status >= 500 and answer.status not in DECLARED:
        found.append(f"an unhandled {answer.status}")
    if answer.status < 400:
        return found
    if answer.headers.get("x-content-type-options") != "nosniff":
        found.append("no security headers")
    if answer.headers.get("content-type") != "application/json":
        found.append("no JSON")
    elif not bodiless:
        body = orjson.loads(answer.body)
        if set(body) - {"details"} != {"error", "code"} or (body["code"], answer.status) not in KINDS:
            found.append(f"another body: {body}")
    return found
