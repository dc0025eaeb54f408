"""One HTTP request in Quart: in the task that the server gives it, and ended when its client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPResponseBodyEvent, HTTPResponseStartEvent
from quart import Quart, Request, Response
from quart.asgi import ASGIHTTPConnection
from quart.typing import ResponseTypes
from quart.utils import encode_headers
from quart.wrappers.response import DataBody

from app.core.deadlines import Deadlines
from app.web.escapes import contained, is_cancelling
from app.web.request_headers import headers_of

# Seconds after which the handler of a GET or HEAD without a body is listened for. Most have answered by then, and
# listening costs a tenth of a small request; so much later it may be ended where its client has gone.
LISTEN_AFTER = 0.1
BODILESS = frozenset({"GET", "HEAD"})
BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class PunctualQuart(Quart):
    """Has the deadlines that its requests and their answers keep to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (Quart's own, handed on)
        super().__init__(*args, **kwargs)
        self.deadlines = Deadlines()


class HttpConnection(ASGIHTTPConnection):
    """Listens to the client from the moment on at which the handler waits for something, or a little later.

    Quart's own runs the handler in one task, listens in another and, before Python 3.12, sends in a third: for a
    handler that waits for nothing they take as long as the rest of a request together.
    """

    app: PunctualQuart

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = self._create_request_from_scope(send)

        async def listen() -> None:  # one coroutine: a second one inside would be left over by an early cancellation
            await contained(self.handle_messages(request, receive))

        after = 0.0
        if self._is_without_body():
            request.body.set_complete()
            after = LISTEN_AFTER
        async with Listening(listen, after=after):
            await contained(self.handle_request(request, send))

    def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
        scope, config = self.scope, self.app.config
        if scope["path"][:1] != "/" or scope.get("root_path") or scope["http_version"] < "1.1":
            return super()._create_request_from_scope(send)
        return self.app.request_class(
            scope["method"],
            scope["scheme"],
            scope["path"],
            scope["query_string"],
            headers_of((scope.get("client") or ["<local>"])[0], scope["headers"]),
            "",
            scope["http_version"],
            max_content_length=config["MAX_CONTENT_LENGTH"],
            body_timeout=config["BODY_TIMEOUT"],
            send_push_promise=partial(self._send_push_promise, send),
            scope=scope,
        )

    def _is_without_body(self) -> bool:
        """Known from the head; HTTP/2 tells it elsewhere, and Quart's test client sends bodies that no header tells."""
        is_told = self.scope["method"] in BODILESS and self.scope["http_version"] in ("1.1", "1.0")
        return is_told and all(name not in BODY_HEADERS for name, _ in self.scope["headers"])

    async def handle_request(self, request: Request, send: ASGISendCallable) -> None:
        response = await self.app.handle_request(request)
        limit: float | None = self.app.config["RESPONSE_TIMEOUT"]
        timeout = getattr(response, "timeout", ...)  # Quart's word for what the settings say
        with suppress(TimeoutError):
            # Contained apart, as a stream's own TimeoutError is no news of this deadline.
            if timeout is ... and limit is not None:
                with self.app.deadlines.within(limit):
                    await contained(self._send_response(send, response))
            else:
                async with asyncio.timeout(None if timeout is ... else timeout):
                    await contained(self._send_response(send, response))

    async def _send_response(self, send: ASGISendCallable, response: ResponseTypes) -> None:
        if isinstance(response, Response) and isinstance(response.response, DataBody):
            await _send_whole(send, response, response.response)
        else:
            await super()._send_response(send, response)


async def _send_whole(send: ASGISendCallable, response: Response, body: DataBody) -> None:
    """In two events, where Quart takes three: the server may write once for each."""
    head: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": encode_headers(response.headers),
        "trailers": False,
    }
    whole: HTTPResponseBodyEvent = {
        "type": "http.response.body",
        "body": body.data[body.begin : body.end],
        "more_body": False,
    }
    await send(head)
    await send(whole)


class Listening:
    """Ends the handler inside where the client is gone; a handler that never waits is not listened for."""

    def __init__(self, listen: Callable[[], Coroutine[None, None, None]], *, after: float = 0.0) -> None:
        """`listen` returns when the client is gone; it begins `after` so many seconds, if the handler still runs."""
        self._listen = listen
        self._handler = asyncio.current_task()
        self._task: asyncio.Task[None] | None = None
        self._over = self._gone = False
        loop = asyncio.get_running_loop()
        self._start = loop.call_later(after, self._begin) if after else loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._listen())
        self._task.add_done_callback(self._leave)

    def _leave(self, _: asyncio.Task[None]) -> None:
        if self._handler and not self._over:
            self._gone = True
            self._handler.cancel()

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._over = True
        self._start.cancel()
        if self._task is None:
            return False
        if self._gone:
            await self._take_back(error)
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            if is_cancelling():
                raise
        return self._gone and isinstance(error, asyncio.CancelledError) and not is_cancelling()

    async def _take_back(self, error: BaseException | None) -> None:
        """Whoever stands around must not be cancelled for it."""
        if not isinstance(error, asyncio.CancelledError):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # where it arrives that has not yet
        if self._handler:
            self._handler.uncancel()
