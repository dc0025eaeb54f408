"""The servers that the part `sockets` measures, each started anew for each round, on uvloop and with a quiet log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import httpx

from app.core.settings import PROJECT_ROOT
from app.embedded.ports import free_port
from bench.names import ENGINES, FASTAPI
from tests.harness.app_process import launch_app
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

PEER_PYTHON = PROJECT_ROOT / ".local" / "bench" / "bin" / "python"
START_LIMIT = 20.0  # seconds
BOUNDED = f"{FASTAPI}, a queue for each"


@dataclass(frozen=True)
class Server:
    """One that runs.

    `ways` are the paths at which a broadcast within the process can be asked for, by their names. A client hears what
    is pushed from the first message on that holds `ready`.
    """

    url: str
    pid: int
    ways: dict[str, str]
    ready: bytes


class Contestant(Protocol):
    """Starts one."""

    def __call__(self, settings: TestSettings, clients: int, /) -> AbstractAsyncContextManager[Server]: ...


@asynccontextmanager
async def plinth(settings: TestSettings, clients: int, *, engine: str) -> AsyncIterator[Server]:
    """The real process. Its limits on one client's address and one socket's messages are out of the way.

    So is how long it waits for Redis: a push that a busy machine makes late is a slow one, not one that never arrives.
    """
    overrides = {
        "websocket.anonymous": "true",
        "websocket.max_connections": str(clients + 100),
        "websocket.max_per_address": str(clients + 100),
        "websocket.message_rate": "1000000",
        "rate_limit.enabled": "false",
        "redis.timeout": "5",
        "server.engine": engine,
        "server.event_loop": "uvloop",
        "log.level": "warning",
    }
    # It must be known where it listens, without the line of the log that would say so.
    port = free_port()
    options = [*map("=".join, overrides.items()), f"server.port={port}"]
    async with launch_app(settings, *options, module="bench.socket_routes") as app:
        url = f"http://127.0.0.1:{port}"
        await eventually(lambda: _answers(url), within=START_LIMIT)
        yield Server(url, app.pid, {"": "/bench/broadcast"}, b'"subscribed"')


@asynccontextmanager
async def fastapi(settings: TestSettings, _: int, *, bounded: bool) -> AsyncIterator[Server]:
    """A minimal application on uvicorn, as `bench/requirements.txt` brings it."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        PEER_PYTHON,
        *("-m", "uvicorn", "bench.peers.fastapi_sockets:app", "--port", str(port)),
        *("--loop", "uvloop", "--log-level", "warning"),
        cwd=PROJECT_ROOT,
        env={
            "PATH": os.environ["PATH"],
            "BENCH_REDIS_URL": settings().redis.url.reveal(),
            "BENCH_BOUNDED": str(int(bounded)),
        },
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await eventually(lambda: _answers(url), within=START_LIMIT)
        ways = ["queued"] if bounded else ["in turn", "together"]
        yield Server(
            url, process.pid, {way: f"/bench/broadcast?way={way.replace(' ', '%20')}" for way in ways}, b'"welcome"'
        )
    finally:
        process.kill()
        await process.wait()


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{url}/health/live")).is_success


CONTESTANTS: dict[str, Contestant] = {
    **{name: partial(plinth, engine=engine) for name, engine in ENGINES.items()},
    FASTAPI: partial(fastapi, bounded=False),
    BOUNDED: partial(fastapi, bounded=True),
}
