"""The stock stack, for the control: the same addresses on Quart and Hypercorn alone. `python -m tests.hostile.stock`.

Writes its port once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, request, websocket

app = Quart(__name__)


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/test/json")
async def read_note() -> dict[str, Any]:
    return {"read": await request.get_json()}


@app.get("/test/exit")
async def leave() -> str:
    sys.exit(3)


@app.websocket("/test/echo")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    await serve(app, config)


if __name__ == "__main__":
    asyncio.run(main())
