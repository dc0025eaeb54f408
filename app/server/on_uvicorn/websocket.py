"""One WebSocket of uvicorn's: the protocol that a connection speaks from its handshake on."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import Any

from uvicorn.server import ServerState

from app.server.engine import LINGER, Asgi, Connections, Leftovers, half_close, reset
from app.server.on_uvicorn.opening import Opening, Scope
from app.server.socket import Socket, Unexpected
from app.sockets.wire import CloseCode

log = logging.getLogger("uvicorn.error")


class WebsocketProtocol(asyncio.Protocol):
    """The handshake as ASGI has it, and the line below a `Socket` once the application has accepted it."""

    __slots__ = (
        *("_app", "_connections", "_is_leaving", "_leftovers", "_lingering", "_opening", "_room", "_server"),
        *("_transport", "socket"),
    )

    def __init__(self, app: Asgi, transport: asyncio.Transport, connections: Connections, server: ServerState) -> None:
        self._app = app
        self._transport = transport
        self._connections = connections
        self._server = server
        self.socket = Socket(transport, connections.websocket, connections.wires, self)
        self._opening: Opening | None = None  # until it has its answer
        self._room: asyncio.Event | None = None  # to write more; None where there is some
        self._is_leaving = False
        self._lingering: asyncio.TimerHandle | None = None
        self._leftovers = Leftovers()

    def begin(self, scope: Scope, early: bytes) -> None:
        """Take the connection over from the protocol that has read the head.

        `scope` says what was read, as of HTTP; `early` are bytes that have come behind the head.
        """
        self._connections.add(self)
        self._server.connections.add(self)  # type: ignore[arg-type]  # it asks for `shutdown`, and when they have gone
        self._transport.set_protocol(self)
        self._opening = opening = Opening(scope, self.socket, self._server)
        if early or not opening.is_valid:
            self._refuse(400, opening)
            return
        # Not in the context of whoever was answered before, in which the loop may have called.
        task = asyncio.get_running_loop().create_task(self._run(opening.scope), context=Context())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _run(self, scope: Scope) -> None:
        self.socket.inbox.put({"type": "websocket.connect"})
        try:
            await self._app(scope, self.socket.inbox.get, self._say)
        except Exception:
            log.exception("Exception in ASGI application")
        finally:
            await self._say(None)

    # What the application says.

    async def _say(self, message: Any) -> None:  # noqa: ANN401  (one of several kinds of event; None at the end)
        if self.socket.is_accepted:
            await self.socket.say(message)
        elif self._opening is not None and not self._transport.is_closing():
            await self._answer(message, self._opening)
        elif message is None:
            self._leave()

    async def _answer(self, message: Any, opening: Opening) -> None:  # noqa: ANN401  (as above)
        kind = message["type"] if message else None
        if opening.is_refused:
            await self._refuse_further(kind, message, opening)
        elif kind == "websocket.accept":
            self._accept(message, opening)
        elif kind == "websocket.http.response.start":
            opening.start(message)
        elif kind in {"websocket.close", None}:
            self._refuse(403 if kind else 500, opening)
        else:
            raise Unexpected(kind)

    def _accept(self, message: Any, opening: Opening) -> None:  # noqa: ANN401  (one kind of event)
        head, frames = opening.accept(message)
        self._opening = None
        self.socket.begin(frames)
        self._transport.write(head)
        self.socket.enter()

    def _refuse(self, status: int, opening: Opening) -> None:
        self._transport.write(opening.refuse(status))
        self._opening = None
        self.socket.end(CloseCode.NORMAL)
        self._leave()

    async def _refuse_further(self, kind: str | None, message: Any, opening: Opening) -> None:  # noqa: ANN401  (as above)
        if kind is None:
            reset(self._transport)  # else the part that was sent would pass for the whole
        elif kind != "websocket.http.response.body":
            raise Unexpected(kind)
        else:
            self._transport.write(opening.part(message))
            if message.get("more_body", False):
                await self.drain()
            else:
                self._opening = None

    # What the socket asks for: `app.server.socket.Line`.

    def hold(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
        if self.socket.is_over:
            self._leave()

    async def drain(self) -> None:
        if self._room is not None:
            await self._room.wait()

    # What the transport tells.

    def data_received(self, data: bytes) -> None:
        if self.socket.is_accepted and not self._is_leaving:
            self.socket.feed(data)
            if self.socket.is_over:
                self._leave()
        elif self._opening is not None and not self._opening.is_refused:
            self._refuse(400, self._opening)
        else:
            self._leftovers.drop(data, self._transport)

    def pause_writing(self) -> None:
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)
        self._server.connections.discard(self)
        self.resume_writing()
        self.socket.lost()
        self._opening = None
        if self._lingering:
            self._lingering.cancel()
            self._lingering = None  # its context leads back to here

    # The end.

    def abort(self) -> None:
        """Drop the connection without waiting for the peer."""
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops; how a socket ends then is for our own drain to say."""

    def _leave(self) -> None:
        if self._is_leaving:
            return
        self._is_leaving = True
        if not self._transport.is_closing():
            half_close(self._transport)
            # Not closed, which would wait for a peer that reads nothing.
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)
