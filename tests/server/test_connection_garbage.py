"""However a connection on uvicorn ends, nothing of it stays until Python looks for circles of references.

Hypercorn's is not asked: h11 keeps what it refuses in a circle of its own, an exception and the frame that raises it.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.hostile.case import JSON, Case, Ending, head, kept
from tests.hostile.connections import BAD, CHUNKS, GOOD, LAST, WHOLE
from tests.hostile.test_corpus import address_of
from tests.hostile.wire import play

ROUNDS = 5
PARTS = ("StrictProtocol", "Deadline", "HttpRequestParser")

WAYS: dict[str, tuple[bytes, Ending]] = {
    "answered": (LAST, Ending.READS),
    "left idle": (GOOD, Ending.HALF_CLOSES),
    "answered twice": (WHOLE + LAST, Ending.READS),
    "refused": (BAD, Ending.READS),
    "refused behind an answer": (GOOD + BAD, Ending.READS),
    "refused in its body": (CHUNKS + b"no size\r\n", Ending.READS),
    "answered before its body": (kept("/nowhere", "Content-Length: 1000", method="POST"), Ending.HALF_CLOSES),
    "left in a head": (GOOD[:20], Ending.HALF_CLOSES),
    "left in a body": (kept(JSON, "Content-Length: 1000", method="POST"), Ending.RESETS),
    "left in an answer": (head(target="/test/flood"), Ending.RESETS),
    "crashed": (head(target="/test/crash"), Ending.READS),
}


async def _end_in_every_way(app: AppProcess) -> None:
    await play(address_of(app.url), [Case(name, (sent,), (), ending) for name, (sent, ending) in WAYS.items()])


async def _alive(app: AppProcess) -> dict[str, int]:
    """Of those objects that are a connection's; one request stays in the application's own circles."""
    alive: dict[str, int] = (await app.http.get("/test/alive")).json()
    return {name: alive.get(name, 0) for name in PARTS}


async def _at_rest(app: AppProcess) -> dict[str, int]:
    """What is alive once nobody's connection is but that of who asks; nothing before that."""
    alive = await _alive(app)
    return alive if alive["StrictProtocol"] == 1 else {}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_connections_leave_no_circles_behind(app_process: StartApp, loop: str) -> None:
    settings = ("server.engine=uvicorn", f"server.event_loop={loop}", "rate_limit.enabled=false")
    app = await app_process(*settings, module="tests.server.frame_routes")
    await _end_in_every_way(app)  # what is made once is there from here on
    before = await eventually(lambda: _at_rest(app), within=10)

    for _ in range(ROUNDS):
        await _end_in_every_way(app)
    _, writer = await asyncio.open_connection(*address_of(app.url))
    during = await _alive(app)
    writer.close()

    assert during["StrictProtocol"] > before["StrictProtocol"], "the count sees what is open"
    await eventually(lambda: _is_as(app, before), within=10)


async def _is_as(app: AppProcess, before: dict[str, int]) -> bool:
    return await _alive(app) == before
