"""Answers the connections that were made while the doors closed: closing the listener would reset them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import orjson

from app.web.application import Restarting

DEADLINE = 1.0  # seconds for a late client to send its request's head and take the answer

BODY = orjson.dumps({"error": Restarting().message, "code": Restarting.code})
ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


def close_listener(listener: socket.socket) -> list[socket.socket]:
    """Close it with an empty queue, and return the connections that waited there.

    Connections come until the last moment. There is no `await` here: between the empty queue and the close lie
    microseconds.
    """
    waiting = []
    with suppress(BlockingIOError):
        while True:
            waiting.append(listener.accept()[0])
    listener.close()
    return waiting


async def turn_away(connections: list[socket.socket]) -> None:
    """Tell each of them, once it has sent its request, to come again."""
    await asyncio.gather(*map(_turn_away, connections))


async def _turn_away(connection: socket.socket) -> None:
    connection.setblocking(False)
    with connection, suppress(TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(ANSWER)
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()
