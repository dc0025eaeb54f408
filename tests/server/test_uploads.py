"""No body, however large, slow or many, makes the process grow by more than 64 MB."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import psutil
import pytest

from app.core.settings import PROJECT_ROOT
from app.server.engine import MOST_DROPPED
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.ports import reserved_port
from tests.harness.waiting import POLL, eventually
from tests.web.uploads import PART, Upload

MB = 1_000_000
MOST_GROWTH = 64 * MB
GIGABYTE = 1000 * MB
# What the sockets of both sides may hold of an upload that nobody reads (tcp_wmem and tcp_rmem at their largest),
# and what the process does.
IN_SOCKETS = 16 * MB

pytestmark = pytest.mark.fault


class Memory:
    """The memory of a process, watched for as long as a block runs; `growth` is the most it grew, in bytes."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self._process.memory_info().rss
        self.growth = 0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            self.growth = max(self.growth, self._process.memory_info().rss - self._before)
            await asyncio.sleep(POLL)


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    """Warm, so that what it grows by is not what every first request costs."""
    app = await app_process(
        *("rate_limit.enabled=false", "server.request_timeout=110", "server.body_timeout=100"),
        module="tests.server.upload_routes",
        cold=True,
    )
    for path in ("/test/data", "/test/stream"):
        assert (await app.http.post(path, content=PART)).text == str(len(PART))
    return app


async def stuck(upload: Upload) -> bool:
    """True once nothing more has been taken for a while."""
    before = upload.sent
    await asyncio.sleep(0.5)
    return upload.sent == before


async def holding(http: httpx.AsyncClient) -> int:
    answer = await http.get("/test/holding")
    return int(answer.json()["holding"])


@pytest.mark.engines
async def test_a_gigabyte_that_nobody_reads_stays_with_the_client(app: AppProcess) -> None:
    memory = Memory(app.pid)

    async with memory.watched(), Upload(httpx.URL(app.url)) as upload:
        await upload.head("/test/hold")
        pouring = asyncio.create_task(upload.pour(GIGABYTE))
        await eventually(lambda: holding(app.http), within=10)
        await eventually(lambda: stuck(upload), within=30)
        taken = upload.sent
        await app.http.post("/test/release")
        answer = await upload.answer()
        await pouring

    assert 0 < taken < IN_SOCKETS
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert memory.growth <= MOST_GROWTH


@pytest.mark.engines
async def test_a_gigabyte_is_refused_where_the_limit_is_passed(app: AppProcess) -> None:
    memory = Memory(app.pid)

    async with memory.watched(), Upload(httpx.URL(app.url)) as upload:
        await upload.head("/test/data")
        pouring = asyncio.create_task(upload.pour(GIGABYTE))
        answer = await upload.answer()
        told_after = upload.sent
        await pouring

    assert (answer.status, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert told_after < IN_SOCKETS
    assert upload.sent < MOST_DROPPED + IN_SOCKETS
    assert memory.growth <= MOST_GROWTH


@pytest.mark.engines
async def test_a_gigabyte_may_be_streamed_where_a_route_allows_it(app: AppProcess) -> None:
    memory = Memory(app.pid)

    async with memory.watched(), Upload(httpx.URL(app.url)) as upload:
        await upload.head("/test/stream")
        await upload.pour(GIGABYTE)
        sent = -(-GIGABYTE // len(PART)) * len(PART)
        await upload.end()
        answer = await upload.answer()

    assert (answer.status, answer.body.decode()) == (200, str(sent))
    assert memory.growth <= MOST_GROWTH


@asynccontextmanager
async def hundred_uploads(url: str, http: httpx.AsyncClient) -> AsyncIterator[None]:
    """A hundred bodies of a megabyte, as far as they are taken, to handlers that read nothing."""
    async with AsyncExitStack() as stack:
        uploads = [await stack.enter_async_context(Upload(httpx.URL(url))) for _ in range(100)]
        for upload in uploads:
            await upload.head("/test/hold", f"Content-Length: {MB}")
        pouring = [asyncio.create_task(upload.send(b"x" * MB)) for upload in uploads]

        async def all_held() -> bool:
            return await holding(http) == 100

        await eventually(all_held, within=30)
        # Taken, or left in the sockets: either way nothing moves any more.
        await asyncio.wait(pouring, timeout=5)
        yield
        for each in pouring:
            each.cancel()


@pytest.mark.engines
async def test_a_hundred_bodies_that_nobody_reads_are_held_by_their_clients(app: AppProcess) -> None:
    memory = Memory(app.pid)

    async with memory.watched(), hundred_uploads(app.url, app.http):
        held = await holding(app.http)
        growth = memory.growth
        await app.http.post("/test/release")
        await eventually(lambda: _nobody(app.http), within=10)

    assert held == 100
    assert growth <= MOST_GROWTH


async def _nobody(http: httpx.AsyncClient) -> bool:
    return await holding(http) == 0


@asynccontextmanager
async def stock() -> AsyncIterator[tuple[str, int]]:
    """The stock stack: its address, and its process."""
    with reserved_port() as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.server.stock_uploads", str(port)),
            cwd=PROJECT_ROOT,
            stderr=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient(base_url=url) as http:
                await eventually(lambda: _nobody(http), within=30)
            yield url, process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()


async def test_stock_takes_a_hundred_bodies_in() -> None:
    async with stock() as (url, pid), httpx.AsyncClient(base_url=url) as http:
        memory = Memory(pid)

        async with memory.watched(), hundred_uploads(url, http):
            await eventually(lambda: memory.growth > MOST_GROWTH, within=10)

    assert memory.growth > MOST_GROWTH


async def test_stock_forgets_its_limit_of_a_mebibyte() -> None:
    async with stock() as (url, _):
        async with Upload(httpx.URL(url)) as upload:
            await upload.head("/test/stream")
            await upload.pour(10 * MB)
            await upload.end()
            streamed = await upload.answer()
        async with Upload(httpx.URL(url)) as upload:
            await upload.head("/test/file", "Content-Type: multipart/form-data; boundary=b")
            await upload.chunk(b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n')
            await upload.pour(10 * MB)
            await upload.chunk(b"\r\n--b--\r\n")
            await upload.end()
            file = await upload.answer()

    assert (streamed.status, file.status) == (200, 200)
    assert int(streamed.body) == int(file.body) >= 10 * MB
