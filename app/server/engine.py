"""What carries the application: one of two HTTP engines behind one interface, and what is the same on both."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol, cast

from quart import Quart

from app.core.settings.sections import WebSocket
from app.sockets.wire import Wire
from app.web.policy import MIB

HEAD = 5.0  # seconds from the first byte of a head, or from the connection's first moment, to the end of the head
MOST_DROPPED = 16 * MIB  # bytes, of a client that goes on sending after the last answer
LINGER = 2.0  # seconds for a client to take the last answer while it is still sending
FIRST_REQUEST = 1.0  # seconds a new connection has to send its request once the server is stopping
ACCEPTED = 0.02  # seconds, of which a loop without work needs a thousandth


Asgi = Callable[[Any, Any, Any], Awaitable[None]]  # what takes a scope, `receive` and `send`


class Connection(Protocol):
    """One that is open, whatever it speaks."""

    def abort(self) -> None:
        """Drop it without waiting for the peer."""

    def shutdown(self) -> None:
        """Answer what was asked, and close; who has just come may still ask."""


class Connections:
    """The open TCP connections of one server run; `wires` are those that are WebSockets and open."""

    def __init__(self, websocket: WebSocket | None = None) -> None:
        """`websocket` holds the limits of one socket; without it, they are what the settings are by default."""
        self.websocket = websocket or WebSocket()
        self._open: set[Connection] = set()
        self.wires: set[Wire] = set()
        self.stopping = False  # once it is so, what is idle is closed, and nobody is kept for another request

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        self._open.add(connection)

    def discard(self, connection: Connection) -> None:
        self._open.discard(connection)

    def shutdown(self) -> None:
        """The server stops: let each connection come to its end."""
        self.stopping = True
        for connection in list(self._open):
            connection.shutdown()

    def abort_all(self) -> int:
        """Drop what is left without waiting for the peer, and say how many there were."""
        leftover = list(self._open)
        for connection in leftover:
            connection.abort()
        return len(leftover)


class Engine(Protocol):
    """`run` of `on_hypercorn.engine` and of `on_uvicorn.engine`."""

    async def __call__(
        self,
        app: Quart,
        listener_fd: int,
        *,
        backlog: int,
        keep_alive: float,
        connections: Connections,
        shutdown_trigger: Callable[[], Awaitable[None]],
        last_resort: float,
    ) -> None:
        """Serve until `shutdown_trigger` returns and every connection has ended; close `listener_fd` in between.

        An idle connection is kept for `keep_alive` s; `last_resort` (seconds) is a net below our own drain.
        """


def engine_of(choice: str) -> Engine:
    """The one that `server.engine` names; only that one is imported."""
    return cast(Engine, import_module(f"app.server.on_{choice}.engine").run)


def reset(transport: asyncio.WriteTransport) -> None:
    """Drop the connection so that nobody takes its end for the end of a body, as a client of HTTP/1.0 would."""
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def half_close(transport: asyncio.WriteTransport) -> None:
    """End our half. A whole close with unread bytes resets the connection, and that overtakes what was said last."""
    with suppress(OSError, RuntimeError):  # the peer was quicker
        transport.write_eof()


class Leftovers:
    """What still comes after our last words is read and dropped, so that those are not lost; but not without an end."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        self._size = 0  # bytes

    def drop(self, data: bytes, transport: asyncio.WriteTransport) -> None:
        self._size += len(data)
        if self._size > MOST_DROPPED:
            reset(transport)


def contained(app: Asgi) -> Asgi:
    """`app`, whose SystemExit ends one request: out of a task, Python carries it through the event loop."""

    async def run(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  (of ASGI)
        try:
            await app(scope, receive, send)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"{type(error).__name__} out of the application") from error

    return run


async def stop_accepting(listener_fd: int) -> None:
    """Leave new connections in the kernel's queue, and finish with those already taken from it.

    asyncio's server drops a connection that it is accepting while it closes (an assertion in `Server._attach`);
    uvloop's does not, and has no reader on the socket that could be removed.
    """
    asyncio.get_running_loop().remove_reader(listener_fd)
    await asyncio.sleep(ACCEPTED)


def loop_factory(choice: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop to run on: `uvloop`, `asyncio`, or `auto` for uvloop where it is installed."""
    if choice == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415  (optional: absent where it has no wheel)
    except ImportError:
        if choice == "uvloop":
            raise
        return None
    return cast(Callable[[], asyncio.AbstractEventLoop], uvloop.new_event_loop)
