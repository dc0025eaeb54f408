"""Clients that hold connections with next to nothing cost the others nothing, and are sent away in time."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from statistics import median, quantiles
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from app.core.settings import PROJECT_ROOT
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.latency import LIVE, latencies
from tests.harness.waiting import eventually, lateness

# Thousands of sockets: one such test at a time, or each would see the others' load.
pytestmark = [pytest.mark.xdist_group("crowds"), pytest.mark.engines]

HEADERS, BODIES = 500, 200  # connections
REQUESTS = 100  # of which a p99 is taken; what counts is the median of the p99s of
MEASURING = 2.0  # seconds, in which slow clients are borne
FLOOR = 0.005  # seconds that a busy machine may add, whatever the clients do
ATTEMPTS = 3  # of a comparison: what else runs on the machine meanwhile is nobody's fault
HEAD_LIMIT = 6.0  # seconds after which a connection without a whole head is gone
BODY_TIMEOUT = 4.0


def _port(app: AppProcess) -> int:
    return urlsplit(app.url).port or 0


def _p99(port: int) -> float:
    """Of requests one after another on a connection, in seconds: the median of as many rounds as there is time."""
    rounds: list[float] = []
    end = monotonic() + MEASURING
    while not rounds or monotonic() < end:
        rounds.append(quantiles(latencies(port, REQUESTS), n=100)[-1])
    return median(rounds)


@asynccontextmanager
async def _slow_clients(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.slow_clients", str(port), str(HEADERS), str(BODIES)),
        cwd=PROJECT_ROOT,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"open\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _open(app: AppProcess) -> int:
    connections = psutil.Process(app.pid).net_connections("tcp")
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in connections)


@dataclass(frozen=True)
class Comparison:
    """Two p99s in seconds, and how the slow clients ended."""

    alone: float
    crowded: float
    ends: dict[str, Any]

    @property
    def fair(self) -> bool:
        return self.crowded <= max(2 * self.alone, self.alone + FLOOR)


async def _compare(app: AppProcess) -> Comparison:
    alone = await asyncio.to_thread(_p99, _port(app))
    async with _slow_clients(_port(app)) as clients:
        await eventually(lambda: _open(app) >= HEADERS + BODIES, within=3)
        crowded = await asyncio.to_thread(_p99, _port(app))
        assert _open(app) >= HEADERS, "the slow clients had gone before all was measured"
        assert clients.stdout is not None
        return Comparison(alone, crowded, json.loads(await clients.stdout.readline()))


@pytest.mark.alone
async def test_slow_clients_do_not_slow_the_others_and_are_sent_away(
    app_process: StartApp, figure: Callable[[str], None]
) -> None:
    app = await app_process(f"server.body_timeout={BODY_TIMEOUT}", "rate_limit.enabled=false")
    compared = await _compare(app)
    for _ in range(ATTEMPTS - 1):
        compared = compared if compared.fair else await _compare(app)

    ends = compared.ends
    slowest = {kind: max(seconds for seconds, _ in ends[kind]) for kind in ("headers", "bodies")}
    figure(
        f"{HEADERS} slow heads and {BODIES} slow bodies: p99 of the others {compared.crowded * 1000:.1f} ms, alone "
        f"{compared.alone * 1000:.1f} ms; heads gone after {slowest['headers']:.1f} s, "
        f"bodies after {slowest['bodies']:.1f} s"
    )
    assert compared.fair
    assert {status for _, status in ends["headers"]} == {0}
    assert slowest["headers"] <= HEAD_LIMIT + ends["late"]
    assert {status for _, status in ends["bodies"]} == {408}
    assert slowest["bodies"] <= BODY_TIMEOUT + 1 + ends["late"]


async def _until_closed(port: int, first: bytes, *, answers: int, then: bytes) -> tuple[bytes, float]:
    """Send `first`, then bytes of `then` now and again: all that came back, and for how long after the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    received = b""
    while received.count(b"HTTP/1.1 200") < answers or (answers and not received.endswith(b"}")):
        received += await reader.read(65536)
    began = monotonic()
    dribbling = asyncio.create_task(_dribble(writer, then))
    with suppress(ConnectionError):
        async with asyncio.timeout(30):
            received += await reader.read()
    seconds = monotonic() - began
    dribbling.cancel()
    writer.close()
    return received, seconds


async def _dribble(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        await asyncio.sleep(0.4)
        writer.write(bytes([byte]))


@pytest.mark.parametrize(
    ("first", "answers", "then"),
    [
        pytest.param(b"", 0, LIVE, id="from the start"),
        pytest.param(LIVE[:-2], 0, b"X: 1\r\n" * 9, id="header by header"),
        pytest.param(LIVE, 1, LIVE, id="after a request that was answered"),
        pytest.param(LIVE + LIVE[:-1], 1, b"", id="with the next head half sent along"),
        pytest.param(LIVE * 3 + LIVE[:9], 3, LIVE[9:], id="after three at once and half a head"),
    ],
)
async def test_the_time_for_a_head_cannot_be_extended(
    app_process: StartApp, first: bytes, answers: int, then: bytes
) -> None:
    app = await app_process()
    watching = asyncio.create_task(lateness(HEAD_LIMIT))

    received, seconds = await _until_closed(_port(app), first, answers=answers, then=then)

    assert received.count(b"HTTP/1.1") == answers
    assert 4 < seconds <= HEAD_LIMIT + max(0.0, await watching)


async def test_a_client_that_leaves_an_idle_connection_leaves_nothing_behind(app_process: StartApp) -> None:
    app = await app_process("server.keep_alive_timeout=600")
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(app))
    writer.write(LIVE)
    await reader.readuntil(b'{"status":"ok"}')
    assert _open_from(app, writer) == 1

    writer.close()

    await eventually(lambda: _open_from(app, writer) == 0, within=5)


def _open_from(app: AppProcess, writer: asyncio.StreamWriter) -> int:
    """How many of the server's connections lead to this client."""
    port = writer.get_extra_info("sockname")[1]
    peers = [each.raddr for each in psutil.Process(app.pid).net_connections("tcp")]
    return sum(getattr(peer, "port", None) == port for peer in peers)  # a listening socket has no peer
