"""How sockets end when the process does: an orderly goodbye for all who can hear it, and no waiting for the others."""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import Callable, Iterator
from time import monotonic

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.socket_peers import Peer, connect, leave, open_peers
from tests.server.test_stop import LOOPS

TOLD = 2.0  # seconds; the promise
GRACE = 10.0  # seconds
SPREAD = 8.0  # seconds
MANY = ("websocket.max_per_address=2000", "websocket.anonymous=true", "rate_limit.enabled=false")
STALLED = 20

# Thousands of sockets: one such test at a time, or each would see the others' load.
pytestmark = [pytest.mark.xdist_group("crowds"), pytest.mark.parametrize("loop", LOOPS), pytest.mark.engines]


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """Room for a thousand sockets here and in the server, whatever the shell allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _start(app_process: StartApp, loop: str, *overrides: str) -> AppProcess:
    fixed = (f"server.event_loop={loop}", *MANY, f"websocket.reconnect_spread={SPREAD}")
    return await app_process(*fixed, *overrides, module="tests.server.socket_routes")


async def _stalled(app: AppProcess) -> list[Peer]:
    """Peers that read no more, for each of whom something waits in the server."""
    peers = await open_peers(app.url, STALLED, "/test/listen?group=stalled", receive_buffer=4096)
    for peer in peers:
        peer.stop_reading()
    (await app.http.post("/test/broadcast?group=stalled&count=20&size=16384&every=0")).raise_for_status()

    async def stuck() -> bool:
        return bool((await app.http.get("/test/held")).json()["stuck"] == STALLED)

    await eventually(stuck, within=10)
    return peers


def _told_after(peers: list[Peer], began: float) -> float:
    """Seconds until the last of them had its close frame; fails where one has none."""
    assert all(peer.closed for peer in peers)
    return max(peer.closed.at for peer in peers if peer.closed) - began


@pytest.mark.alone
async def test_a_thousand_sockets_hear_1012_in_time_whatever_a_few_do(
    app_process: StartApp, loop: str, figure: Callable[[str], None]
) -> None:
    app = await _start(app_process, loop, f"server.shutdown_timeout={GRACE}")
    polite = [*await open_peers(app.url, 470), *await open_peers(app.url, 470, "/ws")]
    mute = await open_peers(app.url, 20, answers_close=False)
    rude = await open_peers(app.url, 20)
    stalled = await _stalled(app)
    entering = [await connect(app.url, "/test/late?seconds=0.5") for _ in range(20)]
    floods = [asyncio.create_task(peer.flood()) for peer in rude]

    began = monotonic()
    app.terminate()
    code = await app.wait(within=GRACE + 10)
    took = monotonic() - began
    heard = [*polite, *mute, *rude]
    await asyncio.gather(*floods, *(peer.ended.wait() for peer in (*heard, *entering)))

    told = _told_after(heard, began)
    figure(f"SIGTERM with 1,000 sockets on {loop}: all told after {told:.2f} s, process ended after {took:.2f} s")
    assert code == 0
    assert took < GRACE
    assert told <= TOLD
    assert {peer.closed.code for peer in heard if peer.closed} == {1012}
    assert all(peer.status == 503 or (peer.closed and peer.closed.code == 1012) for peer in entering)
    assert app.events("connections_dropped") == app.events("requests_cut") == []
    leave(stalled)


async def test_the_advice_is_spread_over_the_interval(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop)
    peers = await open_peers(app.url, 1000)

    app.terminate()
    assert await app.wait(within=20) == 0
    advice = [float(_advice(peer)) for peer in peers]

    assert min(advice) >= 0
    assert max(advice) <= SPREAD
    # Of a thousand, a fifth of the interval is given about 200, with a deviation of 13: seven of them is no chance.
    fifths = [sum(at * SPREAD / 5 <= each <= (at + 1) * SPREAD / 5 for each in advice) for at in range(5)]
    assert all(110 <= share <= 290 for share in fifths), fifths


def _advice(peer: Peer) -> str:
    assert peer.closed is not None
    found = re.fullmatch(r"reconnect_after=(\d+\.\d\d)", peer.closed.reason)
    assert found, peer.closed.reason
    return found[1]


async def test_sockets_are_told_at_once_and_others_refused_while_doors_are_still_open(
    app_process: StartApp, loop: str
) -> None:
    app = await _start(app_process, loop, "server.drain_delay=3")
    (inside,) = await open_peers(app.url, 1)
    half = await connect(app.url, "/test/listen", hold_back=10)

    began = monotonic()
    app.terminate()
    await eventually(lambda: app.events("drain_started"), within=20)
    outside = await connect(app.url)
    half.send_rest()
    await asyncio.gather(*(peer.answered.wait() for peer in (outside, half)))
    await inside.ended.wait()

    assert (outside.status, half.status) == (503, 503)
    assert _told_after([inside], began) <= TOLD
    assert await app.wait(within=20) == 0


async def test_a_handshake_that_takes_too_long_is_answered_503(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.shutdown_timeout=0.5")
    entering = await connect(app.url, "/test/late?seconds=60")
    await eventually(lambda: _websockets(app, 1), within=10)

    app.terminate()
    await asyncio.gather(entering.answered.wait())

    assert entering.status == 503
    assert await app.wait(within=20) == 0


async def test_a_handler_that_will_not_end_is_cut_at_the_grace(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.shutdown_timeout=3")
    (peer,) = await open_peers(app.url, 1, "/test/stubborn?seconds=60")

    began = monotonic()
    app.terminate()
    code = await app.wait(within=30)

    assert code == 0
    assert 3 <= monotonic() - began < 15
    assert peer.closed is not None
    assert peer.closed.code == 1012


async def test_a_second_signal_does_not_wait_for_sockets(app_process: StartApp, loop: str) -> None:
    app = await _start(app_process, loop, "server.shutdown_timeout=60")
    peers = await open_peers(app.url, 10, "/test/stubborn?seconds=60")

    app.terminate()
    await eventually(lambda: all(peer.closed for peer in peers), within=20)
    began = monotonic()
    app.terminate()
    code = await app.wait(within=20)

    assert code == 130
    assert monotonic() - began < 5, "at once, of a grace of 60 s"
    leave(peers)


async def _websockets(app: AppProcess, count: int) -> bool:
    return bool((await app.http.get("/test/held")).json()["handlers"] == count)
