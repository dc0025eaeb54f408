"""Many requests at once, each with its own id: no line, error or answer carries the id of another."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually

pytestmark = pytest.mark.engines

ROUTES = "tests.server.marked_routes"
MARK = re.compile(r"mark-\d{4}-[a-z]+")
REQUESTS = 40  # of each kind

# What a kind of request is answered with, and the lines that it leaves.
KINDS = {
    "work": (200, {"work": 3, "library": 1, "child": 2, "request": 1}),
    "nowhere": (404, {"request": 1}),
    "panic": (500, {"panic": 1, "request": 1}),
    "slow": (408, {"slow": 1, "request": 1}),
    "unavailable": (503, {"request_failed": 1, "request": 1}),
}


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await app_process("log.level=debug", "rate_limit.enabled=false", module=ROUTES)


def lines_of(app: AppProcess, name: str) -> dict[str, list[dict[str, Any]]]:
    """The lines that carry an id, by that id."""
    found = defaultdict(list)
    for line in app.logs:
        if name in line:
            found[line[name]].append(line)
    return found


async def test_no_line_and_no_answer_has_the_id_of_another_request(app: AppProcess) -> None:
    marks = {f"mark-{number:04}-{kind}": kind for number in range(REQUESTS) for kind in KINDS}
    limits = httpx.Limits(max_connections=25)  # far fewer than requests, so each is used again

    async with httpx.AsyncClient(base_url=app.url, limits=limits, timeout=60) as http:

        async def ask(mark: str, kind: str) -> httpx.Response:
            return await http.get(f"/marked/{mark}/{kind}", headers={"X-Request-Id": mark})

        answers = await asyncio.gather(*(ask(mark, kind) for mark, kind in marks.items()))
    expected = sum(sum(lines.values()) for _, lines in KINDS.values()) * REQUESTS
    await eventually(lambda: sum(map(len, lines_of(app, "request_id").values())) >= expected, within=20)

    assert len(answers) == 200
    for answer, (mark, kind) in zip(answers, marks.items(), strict=True):
        assert answer.status_code == KINDS[kind][0]
        assert answer.headers.get_list("x-request-id") == [mark]
    for mark, kind in marks.items():
        assert Counter(line["event"].split()[0] for line in lines_of(app, "request_id")[mark]) == KINDS[kind][1]
    for line in app.logs:
        assert set(MARK.findall(json.dumps(line))) <= {line.get("request_id")}


async def test_a_connection_that_is_used_again_keeps_no_id(app: AppProcess) -> None:
    async with httpx.AsyncClient(base_url=app.url, limits=httpx.Limits(max_connections=1)) as http:
        given = await http.get("/marked/mark-0000-work/work", headers={"X-Request-Id": "given-by-the-client"})
        made = [await http.get("/marked/mark-0001-work/work") for _ in range(3)]

    ids = [answer.headers["x-request-id"] for answer in (given, *made)]
    assert ids[0] == "given-by-the-client"
    assert len(set(ids)) == 4
    await eventually(lambda: len(lines_of(app, "request_id")) == 4, within=10)
    assert list(lines_of(app, "request_id")) == ids


async def test_a_websocket_has_an_id_for_as_long_as_it_is_open(app: AppProcess) -> None:
    address = app.url.replace("http", "ws")

    async def talk(mark: str) -> str:
        url = f"{address}/marked/{mark}/socket"
        async with connect(url, proxy=None, additional_headers={"X-Request-Id": mark}) as socket:
            for _ in range(3):
                await socket.send("hello")
                await socket.recv()
            assert socket.response is not None
            return socket.response.headers["x-request-id"]

    marks = [f"mark-{number:04}-socket" for number in range(20)]
    named = await asyncio.gather(*map(talk, marks))
    await eventually(lambda: sum(map(len, lines_of(app, "connection_id").values())) >= 20 * 6, within=10)

    assert named == marks
    for mark in marks:
        lines = lines_of(app, "connection_id")[mark]
        assert [line["mark"] for line in lines if line["event"] == "socket"] == [mark] * 4
        assert [line["event"] for line in lines if line["event"] != "socket"] == [
            "websocket_opened",
            "websocket_closed",
        ]
    assert not [line for line in app.logs if "request_id" in line]
