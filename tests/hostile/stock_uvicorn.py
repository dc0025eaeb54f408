"""The stock stack, for the control: the addresses of `tests.hostile.stock` on uvicorn alone.

`python -m tests.hostile.stock_uvicorn` writes its port once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn

from tests.hostile.stock import app


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, http="httptools", ws="wsproto", log_level="critical")
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    asyncio.run(main())
