"""The stock stack's way with bodies, for controls. `python -m tests.server.stock_uploads PORT`."""

from __future__ import annotations

import asyncio
import sys

from hypercorn.config import Config
from hypercorn.run import run
from quart import Quart, request

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
released = asyncio.Event()
holding = 0


@app.post("/test/hold")
async def hold() -> str:
    global holding  # noqa: PLW0603  (the process is this test's own)
    holding += 1
    await released.wait()
    return "held"


@app.get("/test/holding")
async def count() -> dict[str, int]:
    return {"holding": holding}


@app.post("/test/stream")
async def stream() -> str:
    return str(sum([len(part) async for part in request.body]))


@app.post("/test/file")
async def file() -> str:
    return str(len((await request.files)["f"].read()))


if __name__ == "__main__":
    config = Config()
    config.application_path = "tests.server.stock_uploads:app"
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.workers = 0
    sys.exit(run(config))
