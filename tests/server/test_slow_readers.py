"""An answer that its client does not read waits in its handler, and not in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.hostile.case import head
from tests.hostile.test_corpus import address_of
from tests.server.test_uploads import MB, Memory

READERS = 10
# For each: what the transport holds before it lets nothing more in, and a part that was on its way (64 KiB each).
MOST_GROWTH = 20 * MB
QUIET = 0.5  # seconds in which a process that only waits uses next to no CPU


@asynccontextmanager
async def _readers_of_nothing(app: AppProcess) -> AsyncIterator[list[socket.socket]]:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as opened:
        readers = [opened.enter_context(socket.socket()) for _ in range(READERS)]
        for reader in readers:
            reader.setblocking(False)
            await loop.sock_connect(reader, address_of(app.url))
            await loop.sock_sendall(reader, head(target="/test/flood"))
        yield readers


@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_answers_without_an_end_do_not_grow_the_process(app_process: StartApp, loop: str) -> None:
    app = await app_process(f"server.event_loop={loop}", "rate_limit.enabled=false")
    assert (await app.http.get("/test/inside")).status_code == 200  # what every first request costs
    memory = Memory(app.pid)

    async with memory.watched(), _readers_of_nothing(app) as readers:
        await eventually(lambda: all(map(_can_be_read, readers)), within=30)
        await eventually(lambda: _only_waits(app), within=60)
        begun = [reader.recv(1 << 16) for reader in readers]

    assert all(answer.startswith(b"HTTP/1.1 200") for answer in begun), "all are being answered"
    assert memory.growth <= MOST_GROWTH


def _can_be_read(reader: socket.socket) -> bool:
    try:
        return bool(reader.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


async def _only_waits(app: AppProcess) -> bool:
    process = psutil.Process(app.pid)
    before = process.cpu_times()
    await asyncio.sleep(QUIET)
    after = process.cpu_times()
    return (after.user + after.system) - (before.user + before.system) < QUIET / 4


async def test_control_without_a_word_of_the_transport_they_do(app_process: StartApp) -> None:
    app = await app_process(
        "server.engine=uvicorn", "rate_limit.enabled=false", module="tests.server.unheeding", cold=True
    )
    memory = Memory(app.pid)

    async with memory.watched(), _readers_of_nothing(app):
        await eventually(lambda: memory.growth > MOST_GROWTH, within=60)
        app.kill()

    assert memory.growth > MOST_GROWTH
