"""A peer that gives no sign of life is dropped in time, though its connection looks open; whoever is alive stays."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

import psutil
import pytest

from app.core.settings import PROJECT_ROOT
from tests.features.scrape import scrape
from tests.harness.app_process import AppProcess
from tests.harness.engines import ENGINES_AND_LOOPS
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server import stock_sockets
from tests.server.at_rest import at_rest
from tests.server.lost_host import Host, NoNamespaces, other_host
from tests.server.socket_peers import leave, open_peers
from tests.server.starved import watch_starved

INTERVAL, TIMEOUT = 1.0, 3.0
WATCHED = (f"websocket.heartbeat_interval={INTERVAL}", f"websocket.heartbeat_timeout={TIMEOUT}")
PEERS = 10


@pytest.fixture
def host() -> Iterator[Host]:
    try:
        with other_host() as host:
            yield host
    except NoNamespaces as error:
        if os.environ.get("PLINTH_REQUIRE_DOCKER", "") not in ("", "0"):
            raise  # where everything is required, a lost host is, too
        pytest.skip(str(error))  # no root, no Linux or no iproute2: hosts can't be lost here


async def _start(app_process: StartApp, loop: str, *overrides: str) -> AppProcess:
    app = await app_process(f"server.event_loop={loop}", *WATCHED, *overrides, module="tests.server.socket_routes")
    await connected(app)
    return app


async def connected(app: AppProcess) -> None:
    """Until it hears Redis, too: nothing that is opened later belongs to what is counted."""
    await eventually(lambda: app.events("realtime_connected"), within=20)


@asynccontextmanager
async def _peer_process(url: str, host: Host | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """`PEERS` sockets in a process of their own, all open."""
    command = (sys.executable, "-m", "tests.server.socket_peers", url, str(PEERS))
    process = await asyncio.create_subprocess_exec(
        *(host.command(*command) if host else command), cwd=PROJECT_ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"open\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def stock(address: str, server: str = "hypercorn") -> AsyncIterator[tuple[int, str]]:
    """Process id and URL; `server` is one of `stock_sockets.SERVERS`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.stock_sockets", address, server),
        cwd=PROJECT_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield process.pid, f"http://{address}:{int(await process.stdout.readline())}"
    finally:
        process.kill()
        await process.wait()


def _established(pid: int, address: str) -> int:
    """How many connections with this peer the server's kernel believes in."""
    connections = psutil.Process(pid).net_connections("tcp")
    return sum(each.status == "ESTABLISHED" and each.raddr.ip == address for each in connections)


async def held_by(app: AppProcess) -> dict[str, Any]:
    answer: dict[str, Any] = (await app.http.get("/test/held")).json()
    return answer


async def held_at_rest(app: AppProcess) -> dict[str, Any]:
    """What it holds once nothing comes or goes: what a socket's beginning needs for a moment is not counted."""
    return await at_rest(lambda: held_by(app))


async def nothing_left(app: AppProcess, before: dict[str, Any]) -> None:
    held: list[dict[str, Any]] = []

    async def same() -> bool:
        held.append(await held_by(app))
        return held[-1] == before

    with suppress(AssertionError):
        await eventually(same, within=10)
    assert held[-1] == before


@ENGINES_AND_LOOPS
@pytest.mark.parametrize("messages", [0, 1000], ids=["quiet", "written to"])
async def test_a_lost_host_is_dropped_within_a_second_of_the_timeout(
    app_process: StartApp, loop: str, host: Host, messages: int
) -> None:
    app = await _start(app_process, loop, f"server.host={host.ours}", f"telemetry.networks={host.ours}")
    before = await held_at_rest(app)
    async with _peer_process(app.url, host) as peers:
        while_open = await held_by(app)
        writing = asyncio.create_task(app.http.post(f"/test/broadcast?count={messages}&size=100&every=0.1"))

        host.lose()
        lost = monotonic()
        async with watch_starved(app.pid) as starved:
            peers.kill()
            await peers.wait()
            believed_in = _established(app.pid, host.address)
            await eventually(lambda: _established(app.pid, host.address) == 0, within=TIMEOUT + 20)
            took = monotonic() - lost
        writing.cancel()

    assert while_open["listening"] == PEERS
    assert believed_in == PEERS, "its processes have ended, and no FIN and no RST has come"
    assert TIMEOUT / 3 <= took <= TIMEOUT + 1 + starved.total
    await nothing_left(app, before)
    dropped = await scrape(app)
    assert dropped.value("plinth_websocket_dropped_total", reason="silent") == PEERS
    assert dropped.value("plinth_websocket_heartbeat_timeouts_total") == PEERS


async def test_stock_keeps_a_lost_host(host: Host) -> None:
    """Control (H8): it pings, and waits for no answer."""
    async with stock(host.ours) as (pid, url), _peer_process(url, host) as peers:
        host.lose()
        peers.kill()
        await peers.wait()
        with pytest.raises(AssertionError):
            await eventually(lambda: _established(pid, host.address) < PEERS, within=TIMEOUT + 3)

        assert _established(pid, host.address) == PEERS
        assert stock_sockets.PING_INTERVAL <= INTERVAL


@ENGINES_AND_LOOPS
async def test_a_peer_that_hangs_is_dropped_though_its_kernel_answers(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop)
    before = await held_at_rest(app)
    async with _peer_process(app.url) as peers:
        peers.send_signal(signal.SIGSTOP)
        await eventually(lambda: psutil.Process(peers.pid).status() == psutil.STATUS_STOPPED, within=10)
        stopped = monotonic()

        async def none_listens() -> bool:
            return bool((await held_by(app))["listening"] == 0)

        async with watch_starved(app.pid) as starved:
            await eventually(none_listens, within=TIMEOUT + 20)
            took = monotonic() - stopped

    assert TIMEOUT / 3 <= took <= TIMEOUT + 1 + starved.total
    await nothing_left(app, before)


@ENGINES_AND_LOOPS
async def test_an_idle_peer_that_answers_pings_stays(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop)
    peers = await open_peers(app.url, PEERS)

    await eventually(lambda: min(peer.pings for peer in peers) >= 3 * TIMEOUT / INTERVAL, within=30)

    assert all(peer.is_open for peer in peers)
    assert (await held_by(app))["listening"] == PEERS
    leave(peers)


@ENGINES_AND_LOOPS
async def test_a_peer_that_answers_late_and_in_time_stays(app_process: StartApp, loop: str) -> None:
    timeout = 2 * TIMEOUT  # the peers are in this very process, which a busy machine keeps waiting, too
    app = await _start(app_process, loop, f"websocket.heartbeat_timeout={timeout}")
    began = monotonic()
    late = await open_peers(app.url, PEERS, pong_after=(timeout - INTERVAL) / 2)
    never = await open_peers(app.url, PEERS, pong_after=None)

    await eventually(lambda: all(peer.ended.is_set() for peer in never), within=timeout + 10)
    await eventually(lambda: monotonic() - began > 4 * timeout, within=30)

    assert all(peer.is_open for peer in late)
    leave(late)


@ENGINES_AND_LOOPS
async def test_a_process_that_was_frozen_keeps_its_peers(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop)
    peers = await open_peers(app.url, PEERS)
    await eventually(lambda: all(peer.pings for peer in peers), within=10)

    app.signal(signal.SIGSTOP)
    await eventually(lambda: psutil.Process(app.pid).status() == psutil.STATUS_STOPPED, within=10)
    frozen = monotonic()
    pings = [peer.pings for peer in peers]
    await eventually(lambda: monotonic() - frozen > TIMEOUT + 1, within=20)
    came = max(peer.pings - before for peer, before in zip(peers, pings, strict=True))
    app.signal(signal.SIGCONT)
    await eventually(lambda: all(peer.pings > before + 3 for peer, before in zip(peers, pings, strict=True)), within=20)

    assert came <= 1, "it was frozen: at most one was under way"
    assert all(peer.is_open for peer in peers)
    leave(peers)
