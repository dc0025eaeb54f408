"""The stock stack, for controls: sockets on Quart and Hypercorn alone. `python -m tests.server.stock_frames`.

Writes its port once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

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


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.websocket_max_message_size = 65536
    await serve(app, config)


@dataclass(frozen=True)
class Stock:
    url: str
    pid: int


@asynccontextmanager
async def stock_server() -> AsyncIterator[Stock]:
    """Run it in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.stock_frames"),
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
    asyncio.run(main())
