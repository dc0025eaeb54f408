"""The stock stack, for controls: sockets on Quart and a server alone. `python -m tests.server.stock_frames SERVER`.

Writes its port once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import uvicorn
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, websocket

from app.core.settings import PROJECT_ROOT

app = Quart(__name__)


@app.websocket("/test/echo")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/test/deaf")
async def deaf() -> None:
    await websocket.accept()
    await asyncio.Event().wait()


@app.websocket("/test/fail")
async def fail() -> None:
    raise RuntimeError(await websocket.receive())


MESSAGE_LIMIT = 65536  # bytes


async def on_hypercorn(listener: socket.socket) -> None:
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.websocket_max_message_size = MESSAGE_LIMIT
    await serve(app, config)


async def on_uvicorn(listener: socket.socket) -> None:
    config = uvicorn.Config(app, ws="wsproto", ws_max_size=MESSAGE_LIMIT, log_level="critical")
    await uvicorn.Server(config).serve([listener])


SERVERS = {"hypercorn": on_hypercorn, "uvicorn": on_uvicorn}


async def main(server: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await SERVERS[server](listener)


@dataclass(frozen=True)
class Stock:
    url: str
    pid: int


@asynccontextmanager
async def stock_server(server: str = "hypercorn") -> AsyncIterator[Stock]:
    """Run it in a process of its own; `server` is one of `SERVERS`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.stock_frames", server),
        cwd=PROJECT_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield Stock(f"http://127.0.0.1:{int(await process.stdout.readline())}", process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
