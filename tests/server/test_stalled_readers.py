"""Clients that stop reading cost the others nothing, and are gone before long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from statistics import quantiles
from time import monotonic

import psutil
import pytest

from tests.features.scrape import scrape
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.socket_peers import Peer, connect, leave, open_peers
from tests.server.starved import watch_starved
from tests.server.test_silent_peers import connected, held_at_rest, held_by, nothing_left, stock

# Thousands of sockets: one such test at a time, or each would see the others' load.
pytestmark = pytest.mark.xdist_group("crowds")

HEALTHY, STALLED = 200, 20
TIGHT = 4096  # bytes, of a receive buffer
GONE = 10.0  # seconds; the promise
LATE = 0.5  # seconds, of the others' p99
PUSHES = 100
OPEN_TO_ALL = ("websocket.anonymous=true", "websocket.max_per_address=1000", "rate_limit.enabled=false")
PATIENT = "redis.timeout=2"  # a push that a busy machine holds up is none that is lost

LOOPS = ["asyncio", "uvloop"]


@pytest.mark.alone
@pytest.mark.parametrize("loop", LOOPS)
async def test_stalled_readers_are_dropped_and_felt_by_nobody(
    app_process: StartApp, loop: str, figure: Callable[[str], None]
) -> None:
    app = await app_process(f"server.event_loop={loop}", *OPEN_TO_ALL, PATIENT, module="tests.server.socket_routes")
    await connected(app)
    # The first push opens the connection that all of them share.
    (await app.http.post("/test/push?count=1&size=0&every=0")).raise_for_status()
    at_first = await held_at_rest(app)
    late: list[float] = []
    healthy = await open_peers(app.url, HEALTHY, "/ws", on_text=lambda text: late.extend(_late(text)))
    await eventually(lambda: _hears_everyone(app, HEALTHY), within=10)
    with_healthy = await held_at_rest(app)
    stalled = await open_peers(app.url, STALLED, "/ws", receive_buffer=TIGHT)
    await eventually(lambda: _hears_everyone(app, HEALTHY + STALLED), within=10)

    for peer in stalled:
        peer.stop_reading()
    began = monotonic()
    push = f"/test/push?count={PUSHES}&size=4096&every=0.1"
    async with watch_starved(app.pid) as starved:
        pushing = asyncio.create_task(app.http.post(push, headers={"Connection": "close"}))
        await eventually(lambda: _stuck(app), within=30)
        await eventually(lambda: _connected_to(app, HEALTHY), within=30)
        took, starved_so_far = monotonic() - began, starved.total
        taken = (await pushing).json()["taken"]
        await eventually(lambda: len(late) >= taken * HEALTHY, within=30)

    figure(f"{STALLED} of {HEALTHY + STALLED} readers stall: gone after {took:.1f} s, p99 elsewhere {_p99(late):.3f} s")
    assert taken > PUSHES / 2
    assert took <= GONE + starved_so_far
    assert _p99(late) < LATE + starved.worst, "but for what a busy machine kept from them"
    assert all(peer.is_open for peer in healthy)
    assert (await scrape(app)).value("plinth_websocket_dropped_total", reason="stalled") == STALLED
    await nothing_left(app, with_healthy)
    leave(healthy)
    await nothing_left(app, at_first)
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


async def _stuck(app: AppProcess) -> bool:
    """The fault happened: something waits for all of them, and for nobody else for long."""
    return bool((await held_by(app))["stuck"] >= STALLED)


async def _connected_to(app: AppProcess, count: int) -> bool:
    return bool((await held_by(app))["connections"] == count)


async def _hears_everyone(app: AppProcess, count: int) -> bool:
    """The last thing that happens to a new socket."""
    return bool((await held_by(app))["topics"].get("everyone") == count)


def _late(text: bytes) -> list[float]:
    """Seconds since a push; nothing where the text is another."""
    message = json.loads(text)
    return [monotonic() - message["data"]["at"]] if message["type"] == "event" else []


def _connected(pid: int, peers: list[Peer]) -> int:
    """How many of them the server's kernel still holds a connection with."""
    ports = {peer.transport.get_extra_info("sockname")[1] for peer in peers}
    connections = psutil.Process(pid).net_connections("tcp")
    return sum(each.status == "ESTABLISHED" and each.raddr.port in ports for each in connections)
