"""One WebSocket on the wire: its handshake, its frames, its limits and its end.

With its neighbours the only place that touches private names of Hypercorn and wsproto: pinned, and held by contract
tests.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.ws_stream import ASGIWebsocketState, Handshake, WSStream
from hypercorn.typing import ASGISendEvent, ConnectionState, WebsocketAcceptEvent
from hypercorn.utils import UnexpectedMessageError
from wsproto.connection import ConnectionState as Side
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage

from app.core.errors import Panic
from app.core.scope_state import WIRE
from app.core.settings.sections import WebSocket
from app.server.answers import KINDS, answer, request_id_of
from app.server.inbox import Inbox
from app.server.messages import Assembly, IdleFrames, TooBig, is_crumb
from app.server.on_hypercorn.inbox_tasks import InboxTasks
from app.sockets.wire import CloseCode, Wire

LINK = "plinth.link"  # in the state of a connection, until a stream takes it
CLOSE_DEADLINE = 1.0  # seconds for a peer to answer our close frame, and to take what was written before it

UNSENT = 16 * 1024  # bytes that the kernel holds of one peer, beside those on their way
TURN = 64  # frames, after which others have theirs


@dataclass(slots=True)
class Link:
    """What a stream is given of its connection, and of the server run."""

    writer: asyncio.StreamWriter
    reset: Callable[[], None]
    wires: set[Wire]
    settings: WebSocket
    stream: WebsocketStream | None = None


class Accepted(Handshake):
    """Stands in for a handshake that has been answered; the headers in it would be kept as long as the socket."""

    def __init__(self) -> None:
        self.accepted = True


ACCEPTED = Accepted()


class WebsocketStream(WSStream):
    """Hypercorn's stream, which is also the `Wire` of its socket.

    What it writes goes straight to the transport, whose buffer is the only queue. Reading goes on as long as the
    inbox of the handler has room; a handler that takes nothing for `websocket.send_timeout` loses its socket.

    The end: a close frame of ours, after which whatever comes is read and dropped until the peer's own, or until
    CLOSE_DEADLINE; a close with unread bytes would reset the connection, and the reset overtakes the close frame.
    """

    # Beside Hypercorn's attributes, which are few enough to share the keys of their dict.
    __slots__ = (
        *("_assembly", "_calls", "_deadline", "_heard", "_idle_frames", "_inbox", "_is_blocked", "_is_deaf", "_loop"),
        *("_written", "close_code", "link", "received", "sent"),
    )

    link: Link
    close_code: int | None
    _assembly: Assembly

    def __init__(self, *args: Any) -> None:  # noqa: ANN401  (Hypercorn's own, handed on)
        super().__init__(*args)
        self.buffer = None  # type: ignore[assignment]  # only the method that `take` replaces uses it
        self.received = 0
        self.sent = 0
        self.close_code = None
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._inbox = Inbox()
        self._is_blocked = False  # by a handler that takes nothing
        self._is_deaf = False  # what comes is no concern of anybody's any more
        self._written = 0  # bytes
        self._idle_frames = IdleFrames(self._heard)
        self._calls: list[Callable[[], object]] | None = []
        self._deadline: asyncio.TimerHandle | None = None

    # What the sockets are offered: app/sockets/wire.py.

    @property
    def heard(self) -> float:
        return self._loop.time() if self._is_blocked else self._heard

    @property
    def waiting(self) -> int:
        return self.link.writer.transport.get_write_buffer_size()

    @property
    def taken(self) -> int:
        return self._written - self.waiting

    @property
    def is_accepted(self) -> bool:
        return self.handshake.accepted

    @property
    def is_open(self) -> bool:
        return (
            self.is_accepted
            and self.close_code is None
            and not self.closed
            and not self.link.writer.transport.is_closing()
        )

    def write(self, frame: bytes) -> None:
        if self.is_open:
            self.sent += 1
            self._write(frame)

    def ping(self) -> None:
        if self.is_open:
            self._write(self.connection.send(Ping()))

    def close(self, code: int, reason: str = "") -> None:
        if self.is_open:
            self._write(self.connection.send(CloseConnection(code, reason)))  # raises where the code is none
            self.close_code = code
            self.state = ASGIWebsocketState.CLOSED
            self._inbox.clear()
            self._inbox.end(code)
            self._end_in_time()

    def abort(self, code: int = CloseCode.ABNORMAL) -> None:
        self._is_deaf = True
        self._gone(code)
        self.link.reset()

    def on_gone(self, call: Callable[[], object]) -> None:
        if self._calls is None:
            call()
        else:
            self._calls.append(call)

    # What Hypercorn calls.

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, Request):
            await self._begin(event)
        elif not isinstance(event, StreamClosed):
            await super().handle(event)  # bytes before the handshake is answered
        elif not self.closed:
            self.closed = True
            self._gone(CloseCode.NORMAL if self.idle else CloseCode.ABNORMAL)
            if self.is_accepted:
                self._end_in_time()

    async def _begin(self, event: Request) -> None:
        state: dict[str, Any] = dict(event.state)
        self.link = state.pop(LINK)
        self.link.stream = self
        self._assembly = Assembly(self.link.settings.message_limit)
        self.task_group = InboxTasks(self.task_group, self._inbox)  # type: ignore[assignment]  # all that it is used for
        await super().handle(replace(event, state=ConnectionState({**state, WIRE: self})))

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if not self.is_accepted:
            await self._answer(message)
        elif message is None:
            # Nothing more is said. The peer's close frame ends the connection, or the deadline.
            self.close(CloseCode.INTERNAL_ERROR)
        elif message["type"] == "websocket.send":
            await self._send(message)
        elif message["type"] == "websocket.close":
            self.close(int(message.get("code", CloseCode.NORMAL)), message.get("reason") or "")
        else:
            raise UnexpectedMessageError(self.state, message["type"])

    async def _answer(self, message: ASGISendEvent | None) -> None:
        """To the handshake. Hypercorn would note that it has refused one before it does, and then not do it."""
        is_handshake = self.state is ASGIWebsocketState.HANDSHAKE and not self.closed
        if message and message["type"] == "websocket.close" and is_handshake:
            await self._send_error_response(403)
        else:
            await super().app_send(message)

    async def _send(self, message: Any) -> None:  # noqa: ANN401  (one kind of event)
        if not self.is_open:
            return  # the handler may come to its end
        data = message.get("bytes")
        event = TextMessage(data=message["text"]) if data is None else BytesMessage(data=bytes(data))
        self.write(self.connection.send(event))
        with suppress(OSError):  # the peer is gone, which the handler is told otherwise
            await self.link.writer.drain()

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        try:
            await super()._accept(message)
        except Exception:
            self.state = ASGIWebsocketState.HANDSHAKE  # such as for a subprotocol that nobody has offered
            raise
        self.handshake = ACCEPTED
        if self._calls is not None:
            hold_little(self.link.writer)
            self._heard = self._loop.time()
            self.link.wires.add(self)

    async def _send_error_response(self, status_code: int) -> None:
        """Refuse the handshake and end the connection, which Hypercorn would leave open for ever."""
        if self.state is ASGIWebsocketState.HANDSHAKE:
            self.state = ASGIWebsocketState.HTTPCLOSED
            error = KINDS.get(status_code, Panic)()
            headers, body = answer(error, request_id_of(self.scope))
            await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=error.status))
            await self.send(Body(stream_id=self.stream_id, data=body))
            await self.send(EndBody(stream_id=self.stream_id))
        await self.send(StreamClosed(stream_id=self.stream_id))

    # What comes from the peer.

    async def take(self, data: bytes) -> None:
        """Bytes behind the handshake."""
        self._heard = self._loop.time()
        if not self._is_deaf:
            await self._read(data)

    async def _read(self, data: bytes) -> None:
        try:
            self.connection.receive_data(data)
            for number, event in enumerate(self.connection.events(), 1):
                await self._on(event)
                if self._is_deaf:
                    return
                if number % TURN == 0:
                    await asyncio.sleep(0)
            if self.close_code is None:
                self._assembly.check(self.connection)
        except TooBig as error:
            await self._fail(CloseCode.MESSAGE_TOO_BIG, error.__doc__)

    async def _on(self, event: Event) -> None:
        if isinstance(event, CloseConnection):
            await self._on_close(event)
        elif self.close_code is not None:
            return
        elif isinstance(event, Message):
            await self._on_part(event)
        elif isinstance(event, Ping | Pong):
            if isinstance(event, Ping) and self.waiting <= self.link.settings.send_buffer:
                self._write(self.connection.send(event.response()))
            await self._count_idle_frame()

    async def _on_part(self, part: Message[Any]) -> None:
        message = self._assembly.add(part)
        if message is not None:
            self.received += 1
            is_text = isinstance(message, str)
            await self._deliver(message if is_text else None, None if is_text else message)
        elif is_crumb(part):
            await self._count_idle_frame()

    async def _count_idle_frame(self) -> None:
        if self._idle_frames.are_too_many(self._heard):
            await self._fail(CloseCode.POLICY_VIOLATION, "too many frames without a message")

    async def _deliver(self, text: str | None, data: bytes | None) -> None:
        put = self._inbox.put({"type": "websocket.receive", "bytes": data, "text": text})
        if not self._inbox.is_full:
            await put
            return
        self._is_blocked = True
        try:
            async with asyncio.timeout(self.link.settings.send_timeout):
                await put
        except TimeoutError:
            await self._fail(CloseCode.TRY_AGAIN_LATER, "messages are not taken")
        finally:
            self._is_blocked, self._heard = False, self._loop.time()

    async def _on_close(self, event: CloseConnection) -> None:
        """Answer it, unless it is an answer; wsproto says what it cannot read in the same event."""
        if self.connection.state is Side.OPEN:
            is_text = event.code == CloseCode.INVALID_DATA
            await self._fail(event.code, "text that is not UTF-8" if is_text else event.reason or "")
            return
        if self.connection.state is Side.REMOTE_CLOSING:
            self.close_code = self.close_code or event.code
            self._write(self.connection.send(event.response()))
        await self._finish(event.code)

    async def _fail(self, code: int, reason: str | None) -> None:
        """Say why, and read nothing more: the peer is not in a state to answer."""
        self.close(code, reason or "")
        await self._finish(code)

    async def _finish(self, code: int) -> None:
        self._is_deaf = True
        self._gone(code)
        self._end_in_time()
        await self.send(StreamClosed(stream_id=self.stream_id))

    # The end.

    def lost(self) -> None:
        """The connection has ended."""
        self._gone(CloseCode.ABNORMAL)
        if self._deadline:
            self._deadline.cancel()
        del self.send, self.task_group, self.app_put  # each leads back to here
        self.scope["state"].clear()

    def _end_in_time(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(CLOSE_DEADLINE, self.abort)

    def _gone(self, code: int) -> None:
        if self._calls is None:
            return
        calls, self._calls = self._calls, None
        if self.close_code is None:
            self.close_code = code
        self.link.wires.discard(self)
        self._inbox.end(self.close_code)
        for call in calls:
            call()

    def _write(self, data: bytes) -> None:
        transport = self.link.writer.transport
        if not transport.is_closing():
            self._written += len(data)
            transport.write(data)


def hold_little(writer: asyncio.StreamWriter) -> None:
    """Have the kernel take little ahead of what the peer takes, so that `waiting` tells how far behind the peer is."""
    with suppress(OSError, AttributeError):  # gone already, or a system without the option
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


def no_extensions(*_: object) -> None:
    """Agree on none: permessage-deflate inflates without a limit, and malformed parameters of it raise."""
