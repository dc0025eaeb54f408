"""One WebSocket of Hypercorn's: its stream, which hands what it reads and what the application says to a `Socket`.

With its neighbours the only place that touches private names of Hypercorn: pinned, and held by contract tests.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import ASGISendEvent, ConnectionState, WebsocketAcceptEvent

from app.core.errors import Panic
from app.core.scope_state import WIRE
from app.core.settings.sections import WebSocket
from app.server.answers import KINDS, answer, request_id_of
from app.server.handshake import Handshake
from app.server.on_hypercorn.inbox_tasks import InboxTasks
from app.server.socket import Socket
from app.sockets.wire import CloseCode, Wire

LINK = "plinth.link"  # in the state of a connection, until a stream takes it


@dataclass(slots=True)
class Link:
    """What a stream is given of its connection, and of the server run."""

    writer: asyncio.StreamWriter
    wires: set[Wire]
    settings: WebSocket
    stream: WebsocketStream | None = None


class Accepted(Handshake):
    """Stands in for a handshake that has been answered; what was asked in it would be kept as long as the socket."""

    def __init__(self) -> None:
        self.accepted = True


ACCEPTED = Accepted()


class WebsocketStream(WSStream):
    """Hypercorn's stream, and the line below its socket: it reads on when `take` comes back."""

    # Beside Hypercorn's attributes, which are few enough to share the keys of their dict.
    __slots__ = ("_held", "_writer", "socket")

    socket: Socket
    handshake: Handshake  # type: ignore[assignment]  # ours, where Hypercorn looks its own up

    def __init__(self, *args: Any) -> None:  # noqa: ANN401  (Hypercorn's own, handed on)
        super().__init__(*args)
        self.buffer = None  # type: ignore[assignment]  # only the method that `take` replaces uses it
        self._held: asyncio.Future[None] | None = None

    @property
    def is_accepted(self) -> bool:
        return self.socket.is_accepted

    async def take(self, data: bytes) -> None:
        """Bytes behind the handshake."""
        self.socket.feed(data)
        if self._held:
            await self._held
            self._held = None
        if self.socket.is_over and not self.closed:
            await self.send(StreamClosed(stream_id=self.stream_id))

    # What the socket asks for: `app.server.socket.Line`.

    def hold(self) -> None:
        self._held = asyncio.get_running_loop().create_future()

    def release(self) -> None:
        if self._held and not self._held.done():
            self._held.set_result(None)

    async def drain(self) -> None:
        await self._writer.drain()

    # What Hypercorn calls.

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, Request):
            await self._begin(event)
        elif not isinstance(event, StreamClosed):
            await super().handle(event)  # bytes before the handshake is answered
        elif not self.closed:
            self.closed = True
            self.socket.end(CloseCode.NORMAL if self.idle else CloseCode.ABNORMAL)

    async def _begin(self, event: Request) -> None:
        state: dict[str, Any] = dict(event.state)
        link: Link = state.pop(LINK)
        link.stream = self
        self._writer = link.writer
        self.socket = Socket(link.writer.transport, link.settings, link.wires, self)
        self.task_group = InboxTasks(self.task_group, self.socket.inbox)  # type: ignore[assignment]  # all it is used for
        await super().handle(replace(event, state=ConnectionState({**state, WIRE: self.socket})))

    async def app_send(self, message: ASGISendEvent | None) -> None:
        is_handshake = self.state is ASGIWebsocketState.HANDSHAKE and not self.closed
        if self.is_accepted:
            await self.socket.say(message)
        elif message and message["type"] == "websocket.close" and is_handshake:
            # Hypercorn would note that it has refused one before it does, and then not do it.
            await self._send_error_response(403)
        else:
            await super().app_send(message)

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        # Raises for a subprotocol that nobody has offered; then the handshake can still be refused.
        status, headers, frames = self.handshake.accept(message.get("subprotocol"), message.get("headers", []))
        self.state, self.handshake = ASGIWebsocketState.CONNECTED, ACCEPTED
        self.socket.begin(frames)
        await self.send(Response(stream_id=self.stream_id, status_code=status, headers=headers))
        self.socket.enter()

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

    def lost(self) -> None:
        """The connection has ended."""
        self.socket.lost()
        del self.send, self.task_group, self.app_put  # each leads back to here
        self.scope["state"].clear()
