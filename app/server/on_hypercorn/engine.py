"""The application on Hypercorn; with its neighbours the only place that touches its private names.

They are pinned, and held by a contract test.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, cast

import hypercorn.asyncio.run
import hypercorn.asyncio.tcp_server
import hypercorn.protocol
import hypercorn.protocol.h11
import hypercorn.protocol.ws_stream
from hypercorn.asyncio import serve
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.typing import Framework, LifespanState
from quart import Quart

from app.core.scope_state import ABORT
from app.server.deadline import Deadline
from app.server.engine import FIRST_REQUEST, HEAD, LINGER, Connections, contained, half_close, reset
from app.server.gathered import Gathered
from app.server.handshake import Handshake
from app.server.heads import MOST_INCOMPLETE
from app.server.on_hypercorn.config import EngineConfig
from app.server.on_hypercorn.idle import NO_TASK
from app.server.on_hypercorn.protocol import HeadBegun, Stream, StrictProtocol, Switched
from app.server.on_hypercorn.websocket import LINK, Link, WebsocketStream

READ = 32 * 1024  # bytes taken from a connection at a time; a part of a body is held in up to five copies of it
MOST_UNSENT = 64 * 1024  # bytes of an answer that wait in the transport before its writer does
NOTHING = RawData(b"")


class TrackedTCPServer(TCPServer):
    """Hypercorn's connection, entered in `connections` for as long as it is open, and with our times."""

    connections: ClassVar[Connections]

    fresh = True  # no request has come yet
    head_due = True
    idle = True
    left = False  # the client will send nothing more
    lingering: asyncio.TimerHandle | None = None

    def abort(self) -> None:
        self.writer.transport.abort()

    def shutdown(self) -> None:
        if self.idle:
            self._wait()

    async def run(self) -> None:
        self.connections.add(self)
        transport = self.writer.transport
        self.gathered, self.deadline = Gathered(transport, self.loop), Deadline(self.loop, self._on_deadline)
        self.idle_task = NO_TASK
        self._wait()
        link = Link(self.writer, self.connections.wires, self.connections.websocket)
        state = {**self.state, ABORT: partial(reset, transport), LINK: link}
        self.state = LifespanState(state)  # copied to each scope
        try:
            await super().run()
        finally:
            self.connections.discard(self)
            self.deadline.cancel()
            if link.stream:
                link.stream.lost()
            if self.lingering:
                self.lingering.cancel()
            self._let_go(link)

    def _let_go(self, link: Link) -> None:
        """Cut the circles of references, in which a connection would stay until the garbage collector looks for it."""
        link.stream = None
        self.state = LifespanState({})
        protocol = vars(self).pop("protocol", None)  # there is none where the peer had left before the first byte
        if protocol is not None and isinstance(protocol.protocol, StrictProtocol):
            protocol.protocol.let_go()

    async def _read_data(self) -> None:
        await super()._read_data()
        # Hypercorn keeps the connection of a client that has left until its idle time is over.
        self.left = True
        self.deadline.lift()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Updated):
            self._turn(event.idle)
        elif isinstance(event, HeadBegun):
            self._begin()
        elif isinstance(event, Switched):
            self.gathered.flush()
        elif isinstance(event, Closed):
            await self._end()

    async def _write(self, data: bytes) -> None:
        self.gathered.write(data)
        transport = self.writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > MOST_UNSENT:
            await super().protocol_send(NOTHING)  # waits for room, and tells who writes that nobody reads

    def _begin(self) -> None:
        """A head, for which the time of a new connection runs already."""
        if not self.head_due:
            self.head_due = True
            self._wait()

    def _turn(self, idle: bool) -> None:
        """To the next request, or to the answer of one."""
        self.fresh = self.head_due = False
        self.idle = idle and not self.left
        self.gathered.flush()
        if self.idle:
            self._wait()
        else:
            self.deadline.lift()

    def _wait(self) -> None:
        """For a request, or for the rest of its head.

        Hypercorn has one time for both: too long for a head, or too short for a balancer's connections. And its stop
        would close a connection made in the last moment while the request for which it was made is on its way.
        """
        if self.connections.stopping:
            self.deadline.within(FIRST_REQUEST if self.fresh else 0)
        else:
            self.deadline.within(HEAD if self.head_due else self.config.keep_alive_timeout)

    def _on_deadline(self) -> None:
        # What the loop has just read is looked at before: it may be the next request.
        self.loop.call_soon(self._leave_idle)

    def _leave_idle(self) -> None:
        if self.idle:
            self.writer.close()

    async def _end(self) -> None:
        protocol = self.protocol.protocol
        if isinstance(protocol, StrictProtocol) and protocol.owes_bytes:
            protocol.over = True
            self._linger()
        else:
            await self._close()

    async def _close(self) -> None:
        self.idle = False
        self.deadline.lift()
        self.gathered.flush()
        await super()._close()

    def _linger(self) -> None:
        # What still comes is read and dropped until the client is done.
        if self.lingering is None:
            self.idle = False
            self.deadline.lift()
            self.gathered.flush()
            half_close(self.writer.transport)
            self.lingering = self.loop.call_later(LINGER, self.writer.close)


def tracked(connections: Connections) -> type[TrackedTCPServer]:
    """The class for the connections of one run: Hypercorn makes them, and hands them nothing of ours."""
    return type("TrackedTCPServer", (TrackedTCPServer,), {"connections": connections})


@contextmanager
def _installed(connections: Connections) -> Iterator[None]:
    """Our classes where Hypercorn looks its own up for every connection; there is no public hook."""
    places = (
        (hypercorn.asyncio.run, "TCPServer", tracked(connections)),
        (hypercorn.asyncio.tcp_server, "MAX_RECV", READ),
        (hypercorn.protocol, "H11Protocol", StrictProtocol),
        (hypercorn.protocol.h11, "HTTPStream", Stream),
        (hypercorn.protocol.h11, "WSStream", WebsocketStream),
        (hypercorn.protocol.ws_stream, "Handshake", Handshake),
    )
    stock = [getattr(module, name) for module, name, _ in places]
    for module, name, ours in places:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for (module, name, _), theirs in zip(places, stock, strict=True):
            setattr(module, name, theirs)


async def run(
    app: Quart,
    listener_fd: int,
    *,
    backlog: int,
    keep_alive: float,
    connections: Connections,
    shutdown_trigger: Callable[[], Awaitable[None]],
    last_resort: float,
) -> None:
    """Serve until `shutdown_trigger` returns and every connection has ended; an idle one is kept for `keep_alive` s.

    `serve` is the public entry for embedding; its own graceful timeout is ignored on Python 3.12 and
    later, so `last_resort` (seconds) is only a net below our own drain.
    """

    async def stopping() -> None:
        await shutdown_trigger()
        connections.shutdown()

    config = EngineConfig()
    config.bind = [f"fd://{listener_fd}"]
    config.backlog = backlog
    config.keep_alive_timeout = keep_alive
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = last_resort
    config.h11_max_incomplete_size = MOST_INCOMPLETE
    # Of a body, beside what `app.web.body` keeps for a reader. Two, for the news that a stream is over and for the part
    # that was waiting for its place: see `_make_room` in `protocol`.
    config.max_app_queue_size = 2
    with _installed(connections):
        await serve(cast(Framework, contained(app)), config, shutdown_trigger=stopping)
