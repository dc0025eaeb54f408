"""Answers the connections that were made while the doors closed: closing the listener would reset them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress

from app.core.ids import new_id
from app.server.answers import answer
from app.web.application import Restarting

DEADLINE = 1.0  # seconds for a late client to send its request's head and take the answer
PLUGS = 20  # tries to be quicker than the clients; the first or second one is, under load too


def close_listener(listener: socket.socket) -> list[socket.socket]:
    """Close it with an empty queue, and return the connections that waited there.

    The scheduler may put this process aside between the last `accept` and the `close`, and whoever connects then
    would be reset. So the queue is cut to a single place (listen(2)), and a connection of our own takes it: the
    kernel drops every further SYN, and the client that repeats it is refused.
    """
    waiting: list[socket.socket] = []
    listener.listen(0)
    with ExitStack() as plugs:
        for _ in range(PLUGS):
            waiting += _accept_all(listener)
            if _takes_the_place(plugs.enter_context(socket.socket(listener.family)), listener):
                break
        listener.close()
    return waiting


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    accepted = []
    with suppress(BlockingIOError):
        while True:
            accepted.append(listener.accept()[0])
    return accepted


def _takes_the_place(plug: socket.socket, listener: socket.socket) -> bool:
    """False where a client was quicker. Over the loopback interface a connection is there at once, or not at all."""
    plug.setblocking(False)
    plug.connect_ex(listener.getsockname())
    try:
        plug.getpeername()
    except OSError:
        return False
    return True


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
                writer.write(_answer())
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()


def _answer() -> bytes:
    """As a request gets it that is cut off, with an id of its own."""
    headers, body = answer(Restarting(retry_after=1), str(new_id()))
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n%b\r\n%b" % (lines, body)
