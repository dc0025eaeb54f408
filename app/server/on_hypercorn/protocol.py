"""HTTP/1.1 on the wire: refuses what is malformed or ambiguous, in our own words.

With `engine` the only place that touches private names of Hypercorn and h11: pinned, and held by a contract test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import h11
from h11._receivebuffer import ReceiveBuffer
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Body, EndBody, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.typing import ConnectionState

from app.core.errors import AppError, BadRequest, HeadersTooLarge, Panic, UriTooLong
from app.core.scope_state import ABORT
from app.server.answers import KINDS, answer, refusal, request_id_of
from app.server.engine import MOST_DROPPED
from app.server.heads import MOST_INCOMPLETE, problem
from app.server.on_hypercorn.upgraded import PASSED, UPGRADED, Upgraded
from app.server.on_hypercorn.websocket import WebsocketStream
from app.web.body import CONTINUE
from app.web.heads import MOST_TARGET
from app.web.refusal import CLOSE


class Refused(Exception):
    """The head can be parsed, and must not be served."""

    def __init__(self, sentence: str) -> None:
        self.error = BadRequest(sentence)
        super().__init__(sentence)


class HeadBegun(Event):
    """Some of a head has come, on a connection that was idle."""


class Switched(Event):
    """What follows is a socket's, which writes it past everything here."""


class StrictLines(ReceiveBuffer):
    """Lines end with CR LF. h11 takes a bare LF, too, which a proxy in front may read differently (RFC 9112, 2.2)."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        end = self._data.find(b"\r\n\r\n")
        end = len(self._data) if end < 0 else end
        if self._data.count(b"\n", 0, end) != self._data.count(b"\r\n", 0, end):
            raise h11.LocalProtocolError("a line that does not end with CR LF")
        return super().maybe_extract_lines()


class StrictConnection(h11.Connection):
    """Reads nothing behind the last request, which h11 would answer with 400 in place of that request."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MOST_INCOMPLETE)
        self._receive_buffer = StrictLines()
        self.babbled = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self.their_state is h11.MUST_CLOSE and self._receive_buffer:
            self._receive_buffer = StrictLines()
            self.babbled = True
        return super().next_event()

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """Hypercorn's question, which it would follow with `100 Continue` before the application has seen the head."""
        return False

    @property
    def waits_for_continue(self) -> bool:
        return super().they_are_waiting_for_100_continue


class StrictProtocol(H11Protocol):
    """Hypercorn's protocol of one connection, with our words and our limits."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401  (Hypercorn's own, handed on)
        super().__init__(*args)
        self.reading: StrictConnection | Upgraded = StrictConnection()
        self.connection = self.reading
        self.connection_state = ConnectionState({**self.connection_state, CONTINUE: self.send_continue})
        self.method = b""
        self.begun = False  # some of a head has come
        self.over = False
        self.dropped = 0  # bytes

    async def handle(self, event: Event) -> None:
        if self.over and isinstance(event, RawData):
            self._drop(len(event.data))
            return
        if isinstance(event, RawData) and isinstance(self.stream, WebsocketStream) and self.stream.is_accepted:
            await self.stream.take(event.data)
            return
        await super().handle(event)
        if not self.begun and self.stream is None and self.reading.trailing_data[0]:
            self.begun = True
            await self.send(HeadBegun())

    def let_go(self) -> None:
        """The connection has ended: hold on to nothing that holds on to this."""
        self.connection_state.clear()
        del self.send, self.task_group

    def _drop(self, size: int) -> None:
        """What still comes after the last answer is read so that the answer is not lost; but not without an end."""
        self.dropped += size
        if self.dropped > MOST_DROPPED and (abort := self.connection_state.get(ABORT)):
            abort()

    async def send_continue(self) -> None:
        """Let a client that asked send its body: somebody reads it. A refusal before that spares it the sending."""
        if isinstance(self.reading, StrictConnection) and self.reading.waits_for_continue and self.asking:
            headers = self.config.response_headers("h11")
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=headers))

    @property
    def owes_bytes(self) -> bool:
        """True while the client may be in the middle of sending: a close would now reset the connection."""
        if isinstance(self.reading, Upgraded):
            return True
        unfinished = self.connection.their_state in {h11.SEND_BODY, h11.ERROR} or self.reading.babbled
        return unfinished and not self.connection.trailing_data[1]

    @property
    def asking(self) -> bool:
        """True while a request with a whole head waits for its answer."""
        return self.connection.our_state is h11.SEND_RESPONSE

    async def _handle_events(self) -> None:
        try:
            await super()._handle_events()
        except Refused as refused:
            await self._refuse(refused.error)
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Runs for each head that h11 has parsed; Hypercorn's own would switch to HTTP/2 without TLS."""
        self.method, self.begun = event.method, False
        if sentence := problem(event.method, event.http_version, event.headers):
            raise Refused(sentence)

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response) and event.status_code >= 200 and self.connection.their_state is h11.SEND_BODY:
            # Hypercorn will close rather than wait for the rest of the body; the client should know.
            others = [(name, value) for name, value in event.headers if name.lower() != b"connection"]
            event = replace(event, headers=[*others, CLOSE])
        await super().stream_send(event)
        if isinstance(event, Response) and event.status_code == 101:
            self.connection = self.reading = UPGRADED
            self.can_read = PASSED
            await self.send(Switched())

    async def _send_error_response(self, status_code: int) -> None:
        kind = KINDS.get(status_code, BadRequest)
        in_first_line = not self.asking and b"\n" not in self.connection.trailing_data[0][:MOST_TARGET]
        await self._refuse(UriTooLong() if kind is HeadersTooLarge and in_first_line else kind())

    async def _refuse(self, error: AppError) -> None:
        asked = self.asking  # the first event sent changes it
        scope = self.stream.scope if self.stream else None
        headers, body = refusal(error, scope, self.client[0] if self.client else "")
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=error.status, headers=headers))
        if not (asked and self.method == b"HEAD"):
            await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
        await self._close_stream()


class Stream(HTTPStream):
    """One request; what Hypercorn says by itself gets our body."""

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, StreamClosed) and not self.closed:
            _make_room(self.app_put)
        await super().handle(event)

    async def _send_error_response(self, status_code: int) -> None:
        error = KINDS.get(status_code, Panic)()
        headers, body = answer(error, request_id_of(self.scope))
        await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=error.status))
        if self.scope["method"] != "HEAD":
            await self.send(Body(stream_id=self.stream_id, data=body))
        await self.send(EndBody(stream_id=self.stream_id))
        self.state = ASGIHTTPState.CLOSED


def _make_room(app_put: Any) -> None:  # noqa: ANN401  (the bound `put` of the queue to the application)
    """Let the news that the stream is over in, where an application that reads no further has left the queue full.

    Hypercorn waits for a place in it, for ever: the connection, its task and the request stay.
    """
    queue = app_put.__self__
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
