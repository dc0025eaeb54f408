"""The stock stack's WebSockets, for controls: pings on, and a handler that writes without a pause.

`python -m tests.server.stock_sockets HOST SERVER` writes its port once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, websocket

PING_INTERVAL = 0.5  # seconds

app = Quart(__name__)


@app.websocket("/test/listen")
async def listen() -> None:
    await websocket.accept()
    while True:
        await websocket.receive()


@app.websocket("/test/flood")
async def flood() -> None:
    while True:
        await websocket.send("x" * 65536)


async def on_hypercorn(listener: socket.socket) -> None:
    config = Config()
    config.websocket_ping_interval = PING_INTERVAL
    config.bind = [f"fd://{listener.fileno()}"]
    await serve(app, config, shutdown_trigger=asyncio.Event().wait)


async def on_uvicorn(listener: socket.socket) -> None:
    config = uvicorn.Config(app, ws="wsproto", log_level="critical")
    config.ws_ping_interval = config.ws_ping_timeout = PING_INTERVAL
    await uvicorn.Server(config).serve([listener])


SERVERS = {"hypercorn": on_hypercorn, "uvicorn": on_uvicorn}


async def main(host: str, server: str) -> None:
    with socket.create_server((host, 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        await SERVERS[server](listener)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
