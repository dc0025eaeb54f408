"""One request and its answer: uvicorn's, with our words, and with an end that cuts nobody off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app.core.errors import Panic
from app.server.answers import answer, request_id_of
from app.web.body import CONTINUE
from app.web.refusal import CLOSE

if TYPE_CHECKING:
    from app.server.on_uvicorn.protocol import StrictProtocol

BODILESS = {204, 304}


class Cycle(RequestResponseCycle):
    """Between one connection and the application."""

    def __init__(
        self,
        connection: StrictProtocol,
        scope: Any,  # noqa: ANN401  (a dict)
        *,
        keep_alive: bool,
        whole: bool,
        expects: bool,
    ) -> None:
        """`whole` says that no more of the request will come, `expects` that more comes once it is asked for."""
        super().__init__(
            scope=scope,
            transport=cast(asyncio.Transport, connection.outlet),
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.access_logger,
            access_log=False,
            default_headers=connection.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=connection.on_response_complete,
        )
        scope["state"][CONTINUE] = self.send_continue
        self.expects = expects
        self.until_close = False  # whoever speaks HTTP/1.0 knows no chunks
        if whole:
            self.end_body()

    @property
    def is_answerable(self) -> bool:
        return not (self.response_started or self.disconnected)

    def end_body(self) -> None:
        self.more_body = False
        self.message_event.set()

    def end(self) -> None:
        """The client is gone, or as good as gone."""
        self.disconnected = True
        self.message_event.set()
        self.flow.resume_writing()

    async def send_continue(self) -> None:
        """Let a client that asked send its body: somebody reads it. A refusal before that spares it the sending."""
        if self.expects and self.is_answerable:
            self.expects = False
            self.transport.write(STATUS_LINE[100] + b"\r\n")

    async def run_asgi(self, app: ASGI3Application) -> None:
        try:
            await super().run_asgi(app)
        finally:
            # It leads back to here, and applications keep scopes in circles of references of their own.
            self.scope["state"].clear()

    async def send(self, message: Any) -> None:  # noqa: ANN401  (one of two kinds of event)
        if self.until_close and message["type"] == "http.response.body" and not self.response_complete:
            message = await self._send_bare(message)
        elif not self.response_started and message["type"] == "http.response.start":
            await self._start(message)
            return
        await super().send(message)

    async def _start(self, message: Any) -> None:  # noqa: ANN401  (an event)
        try:
            await super().send(self._framed(message))
        except Exception:
            # Nothing was written, such as of a header that is none: there may be another answer.
            self.response_started, self.until_close, self.chunked_encoding = False, False, None
            raise

    def _framed(self, start: Any) -> Any:  # noqa: ANN401  (an event)
        if self.more_body:
            # The rest of the body is not waited for; the client should know.
            others = (header for header in start["headers"] if header[0].lower() != CLOSE[0])
            start = {**start, "headers": [*others, CLOSE]}
        if start["status"] in BODILESS:
            self.chunked_encoding = False  # a length in the head is of what would have been sent
        elif self.scope["http_version"] == "1.0" and not _has_length(start["headers"]):
            self.until_close, self.chunked_encoding = True, False
        return start

    async def _send_bare(self, body: Any) -> Any:  # noqa: ANN401  (an event)
        """As it is, up to the end of the connection; uvicorn is told of the end only."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected and self.scope["method"] != "HEAD":
            self.transport.write(body.get("body", b""))
        return {**body, "body": b""}

    async def send_500_response(self) -> None:
        headers, body = answer(Panic(), request_id_of(self.scope))
        await self.send({"type": "http.response.start", "status": Panic.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def _has_length(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)
