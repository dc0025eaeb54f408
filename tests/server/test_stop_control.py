"""Controls: the same stops on the stock stack fail, so the tests of ours would notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import websockets

from app.core.settings import PROJECT_ROOT
from tests.harness.ports import reserved_port
from tests.harness.waiting import eventually
from tests.server.load import Load


@asynccontextmanager
async def _stock(*, workers: int, grace: float) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    with reserved_port() as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.server.stock", str(port), str(workers), str(grace)),
            cwd=PROJECT_ROOT,
            stderr=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient() as client:

                async def serving() -> bool:
                    return (await client.get(f"{url}/health/live")).status_code == 200

                await eventually(serving, within=30)
            yield url, process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its workers
            await process.wait()


async def test_stock_workers_cut_a_running_request() -> None:
    # A grace in which it would come to its end.
    async with _stock(workers=2, grace=60) as (url, process), httpx.AsyncClient(base_url=url, timeout=60) as client:
        running = asyncio.create_task(client.get("/test/slow"))
        load = Load(url, rate=100, keep_alive=0)
        loading = asyncio.create_task(load.run())
        await eventually(lambda: load.outcomes["answered"] > 20, within=20)

        process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            await running
        load.stop()
        await loading


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Hypercorn's fault of Python 3.12 and later")
async def test_stock_never_ends_with_an_open_websocket() -> None:
    async with _stock(workers=0, grace=2) as (url, process):
        async with websockets.connect(url.replace("http", "ws") + "/test/echo") as client:
            await client.send("hello")
            assert await client.recv() == "hello"

            process.send_signal(signal.SIGTERM)
            with pytest.raises(TimeoutError):  # the grace is 2 s, and this is twice as long
                async with asyncio.timeout(4):
                    await process.wait()

        assert process.returncode is None or process.returncode >= 0
