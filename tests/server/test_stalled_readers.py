"""Clients that stop reading cost the others nothing, and are gone before long."""

from __future__ import annotations

import asyncio
from statistics import quantiles
from time import monotonic
from typing import Any

import psutil
import pytest

from tests.features.scrape import scrape
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually, lateness
from tests.server.socket_peers import Peer, connect, leave, open_peers
from tests.server.test_silent_peers import stock

HEALTHY, STALLED = 200, 20
TIGHT = 4096  # bytes, of a receive buffer
GONE = 10.0  # seconds; the promise
LATE = 0.5  # seconds, of the others' p99

LOOPS = ["asyncio", "uvloop"]


async def _held(app: AppProcess) -> dict[str, Any]:
    answer: dict[str, Any] = (await app.http.get("/test/held")).json()
    return answer


@pytest.mark.parametrize("loop", LOOPS)
async def test_stalled_readers_are_dropped_and_felt_by_nobody(app_process: StartApp, loop: str) -> None:
    app = await app_process(
        f"server.event_loop={loop}", "websocket.max_per_address=1000", module="tests.server.socket_routes"
    )
    at_first = await _held(app)
    late: list[float] = []
    healthy = await open_peers(app.url, HEALTHY, on_text=lambda text: late.append(monotonic() - float(text[:20])))
    with_healthy = await _held(app)
    stalled = await open_peers(app.url, STALLED, receive_buffer=TIGHT)

    for peer in stalled:
        peer.stop_reading()
    began = monotonic()
    own: list[float] = []
    waking = asyncio.create_task(_wake(own))
    broadcast = asyncio.create_task(app.http.post("/test/broadcast?count=100&size=4096&every=0.1"))
    await eventually(lambda: _stuck(app), within=GONE)
    await eventually(lambda: _only(app, HEALTHY), within=GONE)
    took = monotonic() - began
    await broadcast
    await eventually(lambda: len(late) == 100 * HEALTHY, within=30)

    waking.cancel()

    assert took <= GONE
    assert _p99(late) < LATE + _p99(own), "but for what this process itself was late"
    assert all(peer.is_open for peer in healthy)
    assert (await scrape(app)).value("plinth_websocket_dropped_total", reason="stalled") == STALLED
    await eventually(lambda: _holds(app, with_healthy), within=10)
    leave(healthy)
    await eventually(lambda: _holds(app, at_first), within=10)
    leave(stalled)


async def test_stock_keeps_stalled_readers() -> None:
    """Control (H10): its handler is stuck in `send`, and so is its connection."""
    async with stock("127.0.0.1") as (pid, url):
        stalled = [await connect(url, "/test/flood", receive_buffer=TIGHT) for _ in range(STALLED)]
        await asyncio.gather(*(peer.answered.wait() for peer in stalled))
        for peer in stalled:
            peer.stop_reading()

        with pytest.raises(AssertionError):
            await eventually(lambda: _connected(pid, stalled) < STALLED, within=GONE + 1)

        assert _connected(pid, stalled) == STALLED
        leave(stalled)


def _p99(figures: list[float]) -> float:
    return quantiles(figures, n=100)[98]


async def _wake(late: list[float]) -> None:
    """How late this process is by itself: clients wait for it, too."""
    while True:
        late.append(await lateness(0.01))


async def _stuck(app: AppProcess) -> bool:
    """The fault happened: something waits for all of them, and for nobody else for long."""
    return bool((await _held(app))["stuck"] >= STALLED)


async def _only(app: AppProcess, count: int) -> bool:
    return bool((await _held(app))["listening"] == count)


async def _holds(app: AppProcess, wanted: dict[str, Any]) -> bool:
    held = await _held(app)
    assert held == wanted
    return True


def _connected(pid: int, peers: list[Peer]) -> int:
    """How many of them the server's kernel still holds a connection with."""
    ports = {peer.transport.get_extra_info("sockname")[1] for peer in peers}
    connections = psutil.Process(pid).net_connections("tcp")
    return sum(each.status == "ESTABLISHED" and each.raddr.port in ports for each in connections)
