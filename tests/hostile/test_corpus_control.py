"""Control: the same cases on stock Quart and stock Hypercorn show the faults that ours are held to not having."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from app.core.settings import PROJECT_ROOT
from tests.hostile.case import case, head
from tests.hostile.test_corpus import corpus
from tests.hostile.wire import Outcome, play

PATIENCE = 3.0  # seconds, after which stock has left a connection open

# What stock answers; by the numbers of the notes on the stack where they have one.
FAULTS: dict[str, tuple[int, ...]] = {
    "no path: a query alone": (500,),
    "WebSocket with no path": (500,),
    "Host: dots": (500,),
    "JSON: bytes that are no UTF-8": (500,),
    "JSON: 100,000 arrays": (500,),
    "JSON: NaN": (200,),
    "h2c as browsers of old asked": (101,),
    "h2c on the way to a WebSocket": (101,),
    "pipeline: behind a length and chunks": (200, 404),  # the second one was smuggled in
    "pipeline: behind a bare line feed": (200, 404),
    "a body longer than its length": (400,),
    "60 KiB of headers": (200,),
    "5000 headers": (200,),
    "address of 60 KiB": (404,),
    "request line: version 9.9": (200,),
    "WebSocket with half an extension": (),  # an exception in the server
}
LEFT_OPEN = (
    "WebSocket without a key",
    "WebSocket with a frame in the same piece",
    "a body that never comes",
    "h2c with prior knowledge",
)


@asynccontextmanager
async def _stock() -> AsyncIterator[tuple[tuple[str, int], asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hostile.stock"),
        cwd=PROJECT_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield ("127.0.0.1", int(await process.stdout.readline())), process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
async def on_stock() -> dict[str, Outcome]:
    """What stock makes of the cases named above, and of one that is answered by Hypercorn alone."""
    names = {*FAULTS, *LEFT_OPEN, "request line: no version"}
    cases = [case for case in corpus() if case.name in names]
    assert {case.name for case in cases} == names
    async with _stock() as (address, _):
        return {outcome.case.name: outcome for outcome in await play(address, cases, limit=PATIENCE)}


async def test_stock_fails_the_cases_that_ours_pass(on_stock: dict[str, Outcome]) -> None:
    statuses = {name: on_stock[name].statuses for name in FAULTS}

    assert statuses == FAULTS
    assert [name for name in FAULTS if on_stock[name].as_expected] == []


async def test_stock_leaves_connections_open_that_ours_closes(on_stock: dict[str, Outcome]) -> None:
    assert {on_stock[name].trouble for name in LEFT_OPEN} == {"was not closed in time"}


async def test_stock_refuses_without_a_word(on_stock: dict[str, Outcome]) -> None:
    [answer] = on_stock["request line: no version"].answers

    assert answer.status == 400
    assert answer.body == b""
    assert "x-request-id" not in answer.headers


async def test_a_handler_that_exits_ends_the_stock_server() -> None:
    async with _stock() as (address, process):
        await play(address, [case("exit", head(target="/test/exit"))])

        async with asyncio.timeout(20):
            assert await process.wait() == 3
