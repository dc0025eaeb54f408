"""What goes to the peer of one WebSocket, on whatever engine, and how that ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from wsproto.connection import Connection as Frames
from wsproto.events import CloseConnection, Ping

from app.server.engine import reset
from app.server.inbox import Inbox
from app.server.messages import end_frames
from app.sockets.wire import CloseCode, Wire

CLOSE_DEADLINE = 1.0  # seconds for a peer to answer our close frame, and to take what was written before it
UNSENT = 16 * 1024  # bytes that the kernel holds of one peer, beside those on their way


class Outgoing:
    """The writing half of a `Wire`: straight to the transport, whose buffer is the only queue.

    The end: a close frame of ours, after which whatever comes is read and dropped until the peer's own, or until
    CLOSE_DEADLINE; a close with unread bytes would reset the connection, and the reset overtakes the close frame.
    """

    __slots__ = (
        *("_calls", "_deadline", "_heard", "_is_deaf", "_loop", "_wires", "_written", "close_code", "frames", "inbox"),
        *("is_accepted", "received", "sent", "transport"),
    )

    frames: Frames  # from the answer to the handshake on

    def __init__(self, transport: asyncio.WriteTransport, wires: set[Wire]) -> None:
        """`wires` are those of the server run that are open."""
        self.transport = transport
        self.received = 0
        self.sent = 0
        self.close_code: int | None = None
        self.is_accepted = False
        self.inbox = Inbox()
        self._wires = wires
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._is_deaf = False  # what comes is no concern of anybody's any more
        self._written = 0  # bytes
        self._calls: list[Callable[[], object]] | None = []
        self._deadline: asyncio.TimerHandle | None = None

    # What the sockets are offered: app/sockets/wire.py.

    @property
    def heard(self) -> float:
        return self._heard

    @property
    def waiting(self) -> int:
        return self.transport.get_write_buffer_size()

    @property
    def taken(self) -> int:
        return self._written - self.waiting

    @property
    def is_open(self) -> bool:
        return self.is_accepted and self.close_code is None and not self.transport.is_closing()

    def write(self, frame: bytes) -> None:
        if self.is_open:
            self.sent += 1
            self._written += len(frame)
            self.transport.write(frame)

    def ping(self) -> None:
        if self.is_open:
            self._write(self.frames.send(Ping()))

    def close(self, code: int, reason: str = "") -> None:
        if self.is_open:
            self._write(self.frames.send(CloseConnection(code, reason)))  # raises where the code is none
            self.close_code = code
            self.inbox.clear()
            self.inbox.end(code)
            self._end_in_time()

    def abort(self, code: int = CloseCode.ABNORMAL) -> None:
        self._is_deaf = True
        self._gone(code)
        reset(self.transport)

    def on_gone(self, call: Callable[[], object]) -> None:
        if self._calls is None:
            call()
        else:
            self._calls.append(call)

    # What the engine tells.

    def begin(self, frames: Frames) -> None:
        """The handshake is accepted, and frames may come."""
        self.frames = frames
        self.is_accepted = True

    def enter(self) -> None:
        """The answer to the handshake is written, and whoever writes to all may write behind it."""
        if self._calls is not None:
            _hold_little(self.transport)
            self._heard = self._loop.time()
            self._wires.add(self)

    def end(self, code: int) -> None:
        """Nothing more will come from the peer."""
        self._gone(code)
        if self.is_accepted:
            self._end_in_time()

    def lost(self) -> None:
        """The connection has ended."""
        self._is_deaf = True
        self._gone(CloseCode.ABNORMAL)
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None  # it has the context of whoever closed, which leads back to here
        if self.is_accepted:
            end_frames(self.frames)

    def _end_in_time(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(CLOSE_DEADLINE, self.abort)

    def _gone(self, code: int) -> None:
        if self._calls is None:
            return
        calls, self._calls = self._calls, None
        if self.close_code is None:
            self.close_code = code
        self._wires.discard(self)
        self.inbox.end(self.close_code)
        for call in calls:
            call()

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self._written += len(data)
            self.transport.write(data)


def _hold_little(transport: asyncio.WriteTransport) -> None:
    """Have the kernel take little ahead of what the peer takes, so that `waiting` tells how far behind the peer is."""
    with suppress(OSError, AttributeError):  # gone already, or a system without the option
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
