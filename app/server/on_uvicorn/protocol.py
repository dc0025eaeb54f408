"""HTTP/1.1 on the wire: uvicorn's protocol of one connection, which refuses what is malformed, in our own words.

With its neighbours the only place that touches what uvicorn and httptools do not document: pinned, and held by
contract tests.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from app.core.errors import AppError, BadRequest, HeadersTooLarge, UriTooLong
from app.core.scope_state import ABORT
from app.server.answers import refusal
from app.server.deadline import Deadline
from app.server.engine import FIRST_REQUEST, HEAD, LINGER, Leftovers, half_close, reset
from app.server.heads import MOST_INCOMPLETE
from app.server.on_uvicorn.bodies import Chunked, Measured
from app.server.on_uvicorn.config import EngineConfig
from app.server.on_uvicorn.cycle import Cycle
from app.server.on_uvicorn.outlet import Outlet
from app.server.on_uvicorn.request import RequestReader
from app.server.on_uvicorn.request_line import END
from app.server.on_uvicorn.websocket import WebsocketProtocol
from app.web.heads import MOST_TARGET

READ = 32 * 1024  # bytes of a body that wait for the application, beside the part that was read last


class StrictProtocol(RequestReader):
    """One connection, with our words, our limits and our times. Requests are read one after the other.

    uvicorn's own parses whatever has come, and answers what cannot be parsed before the requests that stand before it.
    """

    config: EngineConfig
    cycle: Cycle | None  # type: ignore[assignment]  # of the request that waits for its answer
    outlet: Outlet

    def __init__(
        self,
        config: EngineConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.deadline = Deadline(self.loop, self._on_deadline)
        self.unread = b""  # heads, and what is behind them
        self.fresh = True  # no request has come yet
        self.begun = True  # some of a head has come; for a new connection time runs from the start
        self.over = False  # the last answer is given
        self.leftovers = Leftovers()

    # What the loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        self.config.connections.add(self)
        self.outlet = Outlet(transport, self.loop, self._close)
        self.app_state = {**self.app_state, ABORT: partial(reset, transport)}
        self.deadline.within(FIRST_REQUEST if self.config.connections.stopping else HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._let_go()

    def eof_received(self) -> None:
        """Whoever sends nothing more is gone, for the application too; the transport closes itself."""
        if self.cycle is not None:
            self.cycle.end()

    def data_received(self, data: bytes) -> None:
        if self.over:
            self.leftovers.drop(data, self.transport)
            return
        if self.body is not None:
            data = self._read_body(self.body, data)
        if data and not self.over:
            self.unread = self.unread + data if self.unread else data
            if self.cycle is None:
                self._read_head()
            elif len(self.unread) > MOST_INCOMPLETE:
                self.flow.pause_reading()

    # What the server and its drain call.

    def abort(self) -> None:
        self.transport.abort()

    def shutdown(self) -> None:
        """Answer what was asked, and close; who has just come may still ask."""
        if self.cycle is not None:
            self.cycle.keep_alive = False
        elif self.fresh:
            self.deadline.within(FIRST_REQUEST)
        elif not self.over:
            self.transport.close()

    # What llhttp calls.

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if cycle is None or self.body is None:
            return
        self.body.arrived()
        cycle.expects = False
        cycle.body += body
        if len(cycle.body) > READ:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self.whole = True
        if self.body is not None:
            self.body = None
            if self.cycle is not None:
                self.cycle.end_body()

    # A head.

    def _read_head(self) -> None:
        self.line = None
        end = self.unread.find(END) + len(END)
        if end < len(END):
            self._wait_for_head(self.unread)
        elif end > MOST_INCOMPLETE:
            self._refuse(_too_large(self.unread))
        else:
            head, self.unread = self.unread[:end], self.unread[end:]
            if error := self.read(head):
                self._refuse(error)
            elif self.wants_websocket:
                self._upgrade()
            else:
                self._begin()

    def _wait_for_head(self, begun: bytes) -> None:
        if begun[0] <= ord(" ") or begun.count(b"\n") != begun.count(b"\r\n"):
            self._refuse(BadRequest())
        elif len(begun) > MOST_INCOMPLETE:
            self._refuse(_too_large(begun))
        elif not self.begun:
            self.begun = True
            self.deadline.within(HEAD)

    # A request.

    def _begin(self) -> None:
        self.deadline.lift()
        self.fresh = self.begun = False
        self.body = self.body_ahead()
        scope = self.scope_of()
        self.cycle = cycle = Cycle(
            self,
            scope,
            keep_alive=self.persists and scope["http_version"] == "1.1" and not self.config.connections.stopping,
            whole=self.whole,
            expects=self.body is not None and self.asks_before_body,
        )
        # Not in the context of whoever was answered before, in which the loop may have called.
        task = self.loop.create_task(cycle.run_asgi(self.app), context=Context())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        if self.body is not None and self.unread:
            data, self.unread = self.unread, b""
            rest = self._read_body(self.body, data)
            self.unread = b"" if self.over else rest

    def _read_body(self, body: Measured | Chunked, data: bytes) -> bytes:
        """What of `data` stands behind the body."""
        start = 0
        try:
            while start < len(data) and self.body is not None:
                end = body.next_end(data, start)
                self.parser.feed_data(data[start:end])
                start = end
        except httptools.HttpParserError:
            self._refuse(BadRequest())
        except HeadersTooLarge as error:
            self._refuse(error)
        return data[start:]

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.outlet.flush()
        self.cycle = None
        if self.over or self.transport.is_closing():
            return
        self.flow.resume_reading()
        self.deadline.within(self.timeout_keep_alive)
        if self.unread:
            self._read_head()

    # The end.

    def _refuse(self, error: AppError) -> None:
        """Answer what is no request, or breaks off, unless that one is being answered already."""
        cycle = self.cycle
        if cycle is None or cycle.is_answerable:
            scope = None if cycle is None else cycle.scope
            client = self.client[0] if self.client else ""
            headers, body = Context().run(refusal, error, scope, client)
            lines = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *headers)]
            asked = self.line is not None and self.line.method == b"HEAD"
            self.outlet.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", b"" if asked else body]))
        if cycle is not None:
            cycle.end()
        self.outlet.flush()
        self._linger()

    def _close(self) -> None:
        """After the last answer."""
        if self.body is not None or self.unread:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close our half, and read and drop what still comes until the client is done."""
        if self.over or self.transport.is_closing():
            return
        self.over, self.unread, self.body = True, b"", None
        self.flow.resume_reading()
        half_close(self.transport)
        self.deadline.within(LINGER)

    def _on_deadline(self) -> None:
        """Of an idle connection, of a head, or of a client that still sends after the last answer."""
        self.transport.close()

    def _let_go(self) -> None:
        """Cut the circles of references, in which a connection would stay until the garbage collector looks for it."""
        self.config.connections.discard(self)
        self.deadline.cancel()
        self.outlet.let_go()
        self.cycle = None
        self.app_state = {}

    def _upgrade(self) -> None:
        """Hand the connection over to a WebSocket."""
        scope, behind = self.scope_of(), self.unread
        self.server_state.connections.discard(self)
        self.parser = None  # type: ignore[assignment]  # as `connection_lost` does
        transport = self.transport
        self._let_go()
        WebsocketProtocol(self.app, transport, self.config.connections, self.server_state).begin(scope, behind)


def _too_large(head: bytes) -> AppError:
    return HeadersTooLarge() if b"\n" in head[:MOST_TARGET] else UriTooLong()
