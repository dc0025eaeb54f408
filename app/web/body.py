"""The body of a request: no more of it is taken in than somebody reads, than is allowed, than comes in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Request
from quart.asgi import ASGIHTTPConnection
from quart.wrappers.request import Body

from app.core.errors import AppError, PayloadTooLarge, RequestTimeout
from app.web.endpoint import Endpoint
from app.web.exchange import Exchange
from app.web.policy import KIB

# Bytes that wait for a reader. A body of this size is wholly received, so that a client's going away is noticed
# behind it. Of a longer one the rest stays in the sockets of both sides, and all of it if its length is announced.
WINDOW = 64 * KIB
SLOWEST = KIB  # bytes a second
# Where the server puts, in the state of a scope, what sends `100 Continue` to a client that waits for it.
CONTINUE = "plinth.continue"


class BodyTooSlow(RequestTimeout):
    """The body of the request took too long to arrive."""


class FlowingBody(Body):
    """Counts what arrives and how long it is waited for, whichever way it is read.

    Quart's own is filled as fast as the client sends, and its limit is forgotten whenever a part is taken out.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        """Bytes; `hold_to` sets what the route allows once it is known."""
        self.expected = expected_content_length or 0
        self.limit = max_content_length
        self.timeout: float | None = None
        self.exchange: Exchange | None = None
        self.go_on: Callable[[], Awaitable[None]] | None = None
        self.received = 0  # bytes, in all
        self.waited = 0.0  # seconds that a reader has waited for the client, in all
        self.refusal: AppError | None = None
        self._unread = bytearray()
        self._whole = False
        self._wanted = False  # as a whole, so the window does not matter
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        if self.expected <= WINDOW:
            self._room.set()

    def hold_to(self, limit: int, timeout: float) -> None:
        """Bytes and seconds. Raises `PayloadTooLarge` where the head announces more."""
        self.limit, self.timeout = limit, timeout
        if self.expected > limit:
            raise self.refuse(_too_large(limit))
        if self.received > limit:
            self.refuse(_too_large(limit))  # told to whoever reads it

    def refuse(self, refusal: AppError) -> AppError:
        """Take no more of it: whoever reads on is told why, and the connection ends with the answer."""
        if self.refusal is None:
            self.refusal = refusal
            self._unread.clear()
            self._room.clear()
            self._news.set()
            if self.exchange is not None:
                self.exchange.headers["Connection"] = "close"
        return self.refusal

    # What the server's side calls.

    async def room(self) -> None:
        """Wait until more may be received."""
        await self._room.wait()

    def append(self, data: bytes) -> None:
        if self.refusal is not None:
            return
        self.received += len(data)
        if self.limit is not None and self.received > self.limit:
            self.refuse(_too_large(self.limit))
            return
        self._unread += data
        if len(self._unread) > WINDOW and not self._wanted:
            self._room.clear()
        self._news.set()

    def set_complete(self) -> None:
        self._whole = True
        self._room.set()  # what can come now is the news that the client has gone
        self._news.set()

    # What a reader calls.

    async def __anext__(self) -> bytes:
        while not (self._unread or self._whole):
            await self._arrival()
        if self.refusal is not None:
            raise self.refusal
        if not self._unread:
            raise StopAsyncIteration
        part = bytes(self._unread)
        self.clear()
        return part

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._all().__await__()

    async def _all(self) -> bytes:
        """What has not been read yet; like Quart's, it can be asked for again."""
        self._wanted = True
        while not self._whole:
            await self._arrival()
        if self.refusal is not None:
            raise self.refusal
        return bytes(self._unread)

    def clear(self) -> None:
        self._unread.clear()
        if self.refusal is None:
            self._room.set()

    async def _arrival(self) -> None:
        """Wait for the client, for as long as what it has sent so far allows. Raises the refusal, if there is one."""
        if self.refusal is not None:
            raise self.refusal
        if self.go_on is not None:
            go_on, self.go_on = self.go_on, None
            await go_on()
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._room.set()
        self._news.clear()
        try:
            async with asyncio.timeout(self._patience()):
                await self._news.wait()
        except TimeoutError:
            raise self.refuse(BodyTooSlow()) from None
        finally:
            self.waited += loop.time() - began

    def _patience(self) -> float | None:
        return None if self.timeout is None else self.timeout + self.received / SLOWEST - self.waited


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body may have at most {limit} bytes.")


class FlowingConnection(ASGIHTTPConnection):
    """Receives while there is room, so that TCP slows a client down that sends more than is read."""

    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        body = cast(FlowingBody, request.body)
        while True:
            await body.room()
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if message["type"] == "http.request":
                body.append(message["body"])
                if not message["more_body"]:
                    body.set_complete()

    async def handle_request(self, request: Request, send: ASGISendCallable) -> None:
        try:
            await super().handle_request(request, send)
        finally:
            await request.close()  # the files of a form, which Quart leaves to the garbage collector


class BodyLimits:
    """The gate that holds the body to the limit of its route, and to the deadline."""

    def __init__(self, *, limit: int, timeout: float) -> None:
        """Bytes, unless the policy of the route says otherwise, and seconds."""
        self.limit = limit
        self.timeout = timeout

    async def __call__(self, incoming: Request, endpoint: Endpoint) -> None:
        """Raises `PayloadTooLarge` before any of the body is read, where the head says that it is too long."""
        limit = endpoint.policy.body
        cast(FlowingBody, incoming.body).hold_to(self.limit if limit is None else limit, self.timeout)
