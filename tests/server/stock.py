"""The stock stack, for controls: what our stop is measured against.

`python -m tests.server.stock PORT WORKERS GRACE`; the last one is in seconds.
"""

from __future__ import annotations

import asyncio
import sys

from hypercorn.config import Config
from hypercorn.run import run
from quart import Quart, websocket

app = Quart(__name__)


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/test/slow")
async def slow() -> dict[str, float]:
    await asyncio.sleep(30)  # longer than a busy machine may take from a signal to what becomes of this
    return {"slept": 30.0}


@app.websocket("/test/echo")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())


if __name__ == "__main__":
    config = Config()
    config.application_path = "tests.server.stock:app"
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.workers = int(sys.argv[2])
    config.graceful_timeout = float(sys.argv[3])
    sys.exit(run(config))
