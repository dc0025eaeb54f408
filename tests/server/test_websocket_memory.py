"""Bombs and floods cost the server no more memory than they are allowed, and what they cost the stock stack."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psutil
import pytest

from tests.harness.engines import ENGINES_AND_LOOPS
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.raw_socket import BINARY, TEXT, End, RawSocket, frame, raw_socket
from tests.server.stock_frames import SERVERS, stock_server

# Thousands of sockets: one such test at a time, or each would see the others' load.
pytestmark = pytest.mark.xdist_group("crowds")

ROUTES = "tests.server.frame_routes"
MIB = 1 << 20
MOST = 64 * MIB  # bytes that abuse may cost
LOOK = 0.02  # seconds between two looks at the memory

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
OFFERS = (
    DEFLATE,
    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    "Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n",
)
BOMBS, BOMB = 50, 60 * MIB  # bytes of one, inflated
FLOOD = [frame(BINARY, bytes(65535))] * 100  # of which a round is 6.5 MB
ROUNDS = 40


def _bomb() -> bytes:
    """About 60 KB on the wire."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflate.compress(bytes(BOMB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(TEXT, data[:-4], rsv=4)


@asynccontextmanager
async def _watched(pid: int) -> AsyncIterator[Callable[[], int]]:
    """By how many bytes the process has grown at most."""
    process = psutil.Process(pid)
    before = most = process.memory_info().rss

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(LOOK)

    looking = asyncio.create_task(look())
    try:
        yield lambda: most - before
    finally:
        looking.cancel()


async def _throw(url: str, path: str, bomb: bytes) -> End:
    async with raw_socket(url, path, DEFLATE) as socket:
        socket.send(bomb)
        return await socket.end()


async def _flood(socket: RawSocket) -> int:
    """How many bytes the server took before it had enough, or all of them."""
    sent = 0
    with suppress(ConnectionError):
        for _ in range(ROUNDS):
            for part in FLOOD:
                socket.send(part)
                await socket.writer.drain()
                sent += len(part)
    return sent


@pytest.mark.engines
async def test_no_compression_is_agreed_on(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES, cold=True)

    for offer in OFFERS:
        async with raw_socket(app.url, "/test/told?name=plain", offer) as socket:
            assert socket.head.startswith("HTTP/1.1 101 ")
            assert "sec-websocket-extensions" not in socket.head.lower()


@pytest.mark.engines
async def test_fifty_bombs_are_not_inflated(app_process: StartApp, figure: Callable[[str], None]) -> None:
    app = await app_process("rate_limit.enabled=false", module=ROUTES, cold=True)
    bomb = _bomb()

    async with _watched(app.pid) as grown:
        ends = await asyncio.gather(*(_throw(app.url, f"/test/told?name={n}", bomb) for n in range(BOMBS)))

    figure(f"{BOMBS} deflate bombs of {BOMB // MIB} MiB: {grown() / MIB:.1f} MiB more")
    assert {end.code for end in ends} == {1002}
    assert grown() <= MOST


@pytest.mark.parametrize("server", SERVERS)
async def test_control_one_bomb_goes_off_in_the_stock_stack(server: str) -> None:
    async with (
        stock_server(server) as stock,
        _watched(stock.pid) as grown,
        raw_socket(stock.url, "/test/echo", DEFLATE) as socket,
    ):
        socket.send(_bomb())
        await eventually(lambda: grown() > MOST, within=20)


@ENGINES_AND_LOOPS
async def test_a_flood_for_a_handler_that_takes_nothing_is_held_back(
    app_process: StartApp, figure: Callable[[str], None], loop: str
) -> None:
    app = await app_process(f"server.event_loop={loop}", "websocket.send_timeout=2", module=ROUTES, cold=True)

    async with _watched(app.pid) as grown, raw_socket(app.url, "/test/deaf") as socket:
        flooding = asyncio.create_task(_flood(socket))
        end = await socket.end()
        sent = await flooding

    figure(f"a flood for a deaf handler on {loop}: {sent / MIB:.0f} MiB sent, {grown() / MIB:.1f} MiB more")
    assert end.code == 1013
    assert sent < 64 * MIB
    assert grown() <= MOST


async def test_control_the_stock_stack_takes_all_of_the_flood_in() -> None:
    async with stock_server() as stock, _watched(stock.pid) as grown:
        async with asyncio.timeout(60), raw_socket(stock.url, "/test/deaf") as socket:
            sent = await _flood(socket)

        assert sent == ROUNDS * sum(map(len, FLOOD))
        assert grown() > 2 * MOST


@pytest.mark.engines
async def test_a_flood_of_messages_costs_no_memory_and_others_are_served(
    app_process: StartApp, figure: Callable[[str], None]
) -> None:
    app = await app_process(module=ROUTES, cold=True)

    async with (
        _watched(app.pid) as grown,
        raw_socket(app.url, "/test/told?name=other") as other,
        raw_socket(app.url, "/test/told?name=flooder") as socket,
    ):
        flooding = [asyncio.create_task(_flood(socket)), asyncio.create_task(_read(socket))]
        for _ in range(20):
            other.send(frame(TEXT, b"hello"))
            async with asyncio.timeout(5):
                assert await other.text() == "str 5"
        assert not any(task.done() for task in flooding)
        for task in flooding:
            task.cancel()
        await asyncio.wait(flooding)

    figure(f"a flood of messages: {grown() / MIB:.1f} MiB more")
    assert grown() <= MOST


async def _read(socket: RawSocket) -> None:
    while True:
        await socket.text()
