"""Whoever reads the log may stall or leave: requests are answered all the same."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.core.settings import PROJECT_ROOT
from tests.harness.app_process import FAULT_ROUTES
from tests.harness.settings import TestSettings
from tests.server.test_canaries import ON_STOCK_LOGS

START = 30.0  # seconds; a loaded machine, not a slow app
REQUESTS = 600  # whose lines are more than twice what a pipe holds (64 KiB)


@asynccontextmanager
async def serving_into_a_pipe(settings: TestSettings, module: str) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """A server whose log is read until it listens, and no further; a client, and the end of the pipe to read."""
    reader, writer = os.pipe()
    process = subprocess.Popen(  # noqa: ASYNC220  (its pipe is the test)
        [sys.executable, "-m", "tests.harness.serve", str(settings.root), module, "server.port=0", "log.format=json"],
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **settings.environ, "APP_RATE_LIMIT__ENABLED": "no"},
        stdin=subprocess.PIPE,
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    try:
        async with asyncio.timeout(START):
            url = await asyncio.to_thread(_read_url, reader)
        async with httpx.AsyncClient(base_url=url, timeout=5) as http:
            yield http, reader
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
        assert process.stdin is not None
        process.stdin.close()


def _read_url(reader: int) -> str:
    text = b""
    while b"server_listening" not in text or not text.endswith(b"\n"):
        text += os.read(reader, 4096)
    (line,) = [line for line in text.splitlines() if b"server_listening" in line]
    return str(json.loads(line)["url"])


async def ask(http: httpx.AsyncClient, path: str, times: int) -> list[int]:
    return [(await http.get(path)).status_code for _ in range(times)]


@pytest.mark.engines
async def test_a_reader_that_stalls_and_then_leaves_stops_no_request(settings: TestSettings) -> None:
    async with serving_into_a_pipe(settings, FAULT_ROUTES) as (http, reader):
        stalled = await ask(http, "/test/query", REQUESTS)
        held = os.read(reader, 1 << 20)
        os.close(reader)
        left = await ask(http, "/test/query", 20)

    assert 0 < held.count(b"/test/query") < REQUESTS, "the pipe was full"
    assert stalled == [200] * REQUESTS
    assert left == [200] * 20


async def test_the_control_a_process_with_stock_logs_stands_still(settings: TestSettings) -> None:
    async with serving_into_a_pipe(settings, ON_STOCK_LOGS) as (http, reader):
        with pytest.raises(httpx.ReadTimeout):
            await ask(http, "/canaries/settings-logged", REQUESTS)
        os.close(reader)
