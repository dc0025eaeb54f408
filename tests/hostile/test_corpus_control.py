"""Control: the same cases on stock Quart and a stock engine show the faults that ours are held to not having."""

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

PATIENCE = 3.0  # seconds, after which stock has left a connection open; what it closes has more, to be answered

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
# What it answers and leaves open then.
ANSWERED_AND_OPEN = (
    "pipeline: behind a length and chunks",
    "pipeline: behind a bare line feed",
    "h2c as browsers of old asked",
    "h2c on the way to a WebSocket",
)

# The same of stock uvicorn.
FAULTS_OF_UVICORN: dict[str, tuple[int, ...]] = {
    "request line: no version": (200,),
    "request line: an empty line first": (200,),
    "request line: version 2.0": (200,),
    "method: BREW": (400,),
    "header: Host, twice": (200,),
    "Host missing": (200,),
    "300 KiB of headers": (200,),
    "2 MiB in one name": (200,),
    "address of 60 KiB": (404,),
    "address: a hash": (200,),
    "coding: 'gzip, chunked'": (200,),
    "coding: chunked in HTTP/1.0": (200,),
    "pipeline: good and bad": (400,),  # the good one is not answered
    "pipeline: behind an upgrade": (200,),  # what follows is lost
    "100 Continue behind a head that is refused": (200,),
    "h2c as browsers of old asked": (200,),
    "WebSocket in HTTP/1.0": (101,),
}
LEFT_OPEN_BY_UVICORN = (
    "chunks with an endless extension",
    "chunks with endless trailers",
    "address of 2 MiB without an end",
    "silent from the start",
    "silent after half a header",
)
ANSWERED_AND_OPEN_BY_UVICORN = (
    "pipeline: behind an upgrade",
    "h2c as browsers of old asked",
    "WebSocket in HTTP/1.0",
)


@asynccontextmanager
async def _stock(
    module: str = "tests.hostile.stock",
) -> AsyncIterator[tuple[tuple[str, int], asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
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
    names = {*FAULTS, "request line: no version"}
    return await _played("tests.hostile.stock", names, left_open={*LEFT_OPEN, *ANSWERED_AND_OPEN})


@pytest.fixture
async def on_stock_uvicorn() -> dict[str, Outcome]:
    names = {*FAULTS_OF_UVICORN, "request line: no address", "4 MiB behind an ambiguous head"}
    left_open = {*LEFT_OPEN_BY_UVICORN, *ANSWERED_AND_OPEN_BY_UVICORN}
    return await _played("tests.hostile.stock_uvicorn", names, left_open=left_open)


async def _played(module: str, names: set[str], *, left_open: set[str]) -> dict[str, Outcome]:
    """What is left open comes last: by then stock has nothing else to do."""
    closed = [case for case in corpus() if case.name in names - left_open]
    others = [case for case in corpus() if case.name in left_open]
    assert {case.name for case in closed + others} == names | left_open
    async with _stock(module) as (address, _):
        outcomes = await play(address, closed) + await play(address, others, limit=PATIENCE)
        return {outcome.case.name: outcome for outcome in outcomes}


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


async def test_stock_uvicorn_fails_the_cases_that_ours_pass(on_stock_uvicorn: dict[str, Outcome]) -> None:
    statuses = {name: on_stock_uvicorn[name].statuses for name in FAULTS_OF_UVICORN}

    assert statuses == FAULTS_OF_UVICORN
    assert [name for name in FAULTS_OF_UVICORN if on_stock_uvicorn[name].as_expected] == []


async def test_stock_uvicorn_has_no_time_for_a_head_and_no_limit_of_one(on_stock_uvicorn: dict[str, Outcome]) -> None:
    assert {on_stock_uvicorn[name].trouble for name in LEFT_OPEN_BY_UVICORN} == {"was not closed in time"}


async def test_stock_uvicorn_refuses_in_words_of_its_own_or_resets(on_stock_uvicorn: dict[str, Outcome]) -> None:
    [answer] = on_stock_uvicorn["request line: no address"].answers

    assert (answer.status, answer.body) == (400, b"Invalid HTTP request received.")
    assert "x-request-id" not in answer.headers
    assert on_stock_uvicorn["4 MiB behind an ambiguous head"].trouble.startswith("ended with")


async def test_a_handler_that_exits_ends_the_stock_server() -> None:
    async with _stock() as (address, process):
        await play(address, [case("exit", head(target="/test/exit"))])

        async with asyncio.timeout(20):
            assert await process.wait() == 3
