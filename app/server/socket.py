"""One WebSocket, on whatever engine: what its peer sends, its limits, and what the application says of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Protocol

from wsproto.connection import ConnectionState as Side
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage

from app.core.settings.sections import WebSocket
from app.server.messages import Assembly, IdleFrames, TooBig, is_crumb
from app.server.outgoing import Outgoing
from app.sockets.wire import CloseCode, Wire

TURN = 64  # frames, after which others have theirs


class Line(Protocol):
    """The connection below a socket, as its engine offers it."""

    def hold(self) -> None:
        """Have the peer wait: nothing more is read until `release`."""

    def release(self) -> None:
        """Read on, or, where the socket `is_over` by now, read and drop."""

    async def drain(self) -> None:
        """Wait while too much of what was written waits. May raise `OSError` where the peer is gone."""


class Unexpected(Exception):
    """The application sends what does not fit its socket."""


class Socket(Outgoing):
    """The `Wire` of one socket, fed with what its engine reads.

    Reading goes on as long as the inbox of the handler has room; a handler that takes nothing for
    `websocket.send_timeout` loses its socket.
    """

    __slots__ = ("_assembly", "_idle_frames", "_is_held", "_line", "_patience", "_settings")

    def __init__(self, transport: asyncio.WriteTransport, settings: WebSocket, wires: set[Wire], line: Line) -> None:
        super().__init__(transport, wires)
        self._settings = settings
        self._line: Line | None = line
        self._is_held = False
        self._patience: asyncio.TimerHandle | None = None  # with a handler that takes nothing
        self._assembly = Assembly(settings.message_limit)
        self._idle_frames = IdleFrames(self._heard)

    @property
    def heard(self) -> float:
        return self._loop.time() if self._patience else self._heard

    @property
    def is_over(self) -> bool:
        """True once nothing that still comes is read."""
        return self._is_deaf

    def lost(self) -> None:
        super().lost()
        self._line = None  # it leads back to here

    # What the application says: events of ASGI, behind the accepted handshake.

    async def say(self, message: Any) -> None:  # noqa: ANN401  (one of several kinds of event)
        """None says that it has come to its end. Raises `Unexpected`."""
        if message is None:
            # Nothing more is said. The peer's close frame ends the connection, or the deadline.
            self.close(CloseCode.INTERNAL_ERROR)
        elif message["type"] == "websocket.send":
            await self._send(message)
        elif message["type"] == "websocket.close":
            self.close(int(message.get("code", CloseCode.NORMAL)), message.get("reason") or "")
        else:
            raise Unexpected(message["type"])

    async def _send(self, message: Any) -> None:  # noqa: ANN401  (one kind of event)
        if not self.is_open or self._line is None:
            return  # the handler may come to its end
        data = message.get("bytes")
        event = TextMessage(data=message["text"]) if data is None else BytesMessage(data=bytes(data))
        self.write(self.frames.send(event))
        with suppress(OSError):  # the peer is gone, which the handler is told otherwise
            await self._line.drain()

    # What comes from the peer.

    def feed(self, data: bytes) -> None:
        """Bytes behind the handshake."""
        self._heard = self._loop.time()
        if self._is_deaf:
            return
        self.frames.receive_data(data)
        if not self._is_held:
            self._read()

    def _read(self) -> None:
        """What has come, as far as it goes: until the handler is too far behind, or others have to have their turn."""
        try:
            for number, event in enumerate(self.frames.events(), 1):
                self._on(event)
                if self._is_deaf:
                    break
                if self.inbox.is_full:
                    self._wait_for_handler()
                    return
                if number == TURN:
                    self._hold()
                    self._loop.call_soon(self._go_on)
                    return
            if self.close_code is None:
                self._assembly.check(self.frames)
        except TooBig as error:
            self._fail(CloseCode.MESSAGE_TOO_BIG, error.__doc__)
        self._release()

    def _wait_for_handler(self) -> None:
        self._hold()
        self._patience = self._loop.call_later(self._settings.send_timeout, self._lose_patience)
        self.inbox.when_room(self._go_on)

    def _lose_patience(self) -> None:
        self._fail(CloseCode.TRY_AGAIN_LATER, "messages are not taken")

    def _go_on(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience, self._heard = None, self._loop.time()
        if self._is_deaf:
            self._release()
        else:
            self._read()

    def _hold(self) -> None:
        if not self._is_held and self._line:
            self._is_held = True
            self._line.hold()

    def _release(self) -> None:
        if self._is_held and self._line:
            self._is_held = False
            self._line.release()

    def _on(self, event: Event) -> None:
        if isinstance(event, CloseConnection):
            self._on_close(event)
        elif self.close_code is not None:
            return
        elif isinstance(event, Message):
            self._on_part(event)
        elif isinstance(event, Ping | Pong):
            if isinstance(event, Ping) and self.waiting <= self._settings.send_buffer:
                self._write(self.frames.send(event.response()))
            self._count_idle_frame()

    def _on_part(self, part: Message[Any]) -> None:
        message = self._assembly.add(part)
        if message is not None:
            self.received += 1
            text, data = (message, None) if isinstance(message, str) else (None, message)
            self.inbox.put({"type": "websocket.receive", "bytes": data, "text": text})
        elif is_crumb(part):
            self._count_idle_frame()

    def _count_idle_frame(self) -> None:
        if self._idle_frames.are_too_many(self._heard):
            self._fail(CloseCode.POLICY_VIOLATION, "too many frames without a message")

    def _on_close(self, event: CloseConnection) -> None:
        """Answer it, unless it is an answer; wsproto says what it cannot read in the same event."""
        if self.frames.state is Side.OPEN:
            is_text = event.code == CloseCode.INVALID_DATA
            self._fail(event.code, "text that is not UTF-8" if is_text else event.reason or "")
            return
        if self.frames.state is Side.REMOTE_CLOSING:
            self.close_code = self.close_code or event.code
            self._write(self.frames.send(event.response()))
        self._finish(event.code)

    def _fail(self, code: int, reason: str | None) -> None:
        """Say why, and read nothing more: the peer is not in a state to answer."""
        self.close(code, reason or "")
        self._finish(code)

    def _finish(self, code: int) -> None:
        self._is_deaf = True
        self._gone(code)
        self._end_in_time()
