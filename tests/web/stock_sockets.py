"""The stock stack, for the control: sockets behind a session cookie on Quart and Hypercorn alone.

Writes its port once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, abort, websocket

from tests.harness.signed_tokens import COOKIE, verified

app = Quart(__name__)


@app.websocket("/sockets/socket")
async def greet() -> None:
    """As its tutorials do it: a session, looked up before the handshake is accepted."""
    token = websocket.cookies.get(COOKIE)
    if token is None:
        abort(401)
    await websocket.accept()
    await websocket.send(verified(token).id)


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    await serve(app, config)


if __name__ == "__main__":
    asyncio.run(main())
