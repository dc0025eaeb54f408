"""Quart, where hooks, streams and teardown functions can harm no answer but their own, and never the server.

As it comes, one raising `after_request` function skips the others; a raising teardown function empties an answer that
was ready; a stream's TimeoutError is swallowed; and SystemExit out of any of them ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import structlog
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Quart, Request, Websocket
from quart.asgi import ASGIHTTPConnection, ASGIWebsocketConnection
from quart.ctx import RequestContext, WebsocketContext
from quart.globals import request_ctx, websocket_ctx
from quart.signals import (
    appcontext_tearing_down,
    request_tearing_down,
    websocket_received,
    websocket_tearing_down,
)
from quart.typing import ResponseReturnValue, ResponseTypes
from werkzeug.datastructures import Headers

from app.core.database import translate
from app.core.errors import AppError, ServiceUnavailable
from app.core.scope_state import WIRE
from app.web.errors import panic_response

log = structlog.get_logger(__name__)

GRACE = 1.0  # seconds for a handler to come to its end when its peer has left in the middle of something

# Close codes, RFC 6455.
POLICY_VIOLATION, INTERNAL_ERROR, TRY_AGAIN_LATER = 1008, 1011, 1013

# All but a cancellation, which the loop needs.
ANYTHING = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)


def is_cancelling() -> bool:
    """True where somebody cancels this task, rather than a CancelledError that code has let go astray."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Escaped(Exception):
    """Something came out that must not leave its task as it is; it is the cause."""


class HttpConnection(ASGIHTTPConnection):
    """One request, in tasks of its own."""

    async def handle_request(self, request: Request, send: ASGISendCallable) -> None:
        await _contained(super().handle_request(request, send))

    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        await _contained(super().handle_messages(request, receive))

    async def _send_response(self, send: ASGISendCallable, response: ResponseTypes) -> None:
        # In a task of its own on Python 3.11, so it must be contained here, too.
        await _contained(super()._send_response(send, response))


class Departing(Protocol):
    """A connection of the server's, as far as it tells that the peer is gone."""

    def on_gone(self, call: Callable[[], object]) -> None: ...


class WebsocketConnection(ASGIWebsocketConnection):
    """One WebSocket, in the task that the server gives it, and reading straight from the server.

    Quart's own has a task and a queue without a bound between the two. Under a server that does not tell when the
    peer is gone, such as Quart's test client, it is Quart's own that runs.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        state: dict[str, Any] = self.scope.get("state") or {}
        wire: Departing | None = state.get(WIRE)
        if wire is None:
            await super().__call__(receive, send)
            return
        departure = Departure(receive)
        wire.on_gone(lambda: departure.begin(GRACE if self._accepted else 0))
        self.queue = departure  # type: ignore[assignment]  # all that is asked of it is `get`
        async with departure:
            await self.handle_websocket(self._create_websocket_from_scope(send), send)

    async def accept_connection(self, send: ASGISendCallable, headers: Headers, subprotocol: str | None) -> None:
        try:
            await super().accept_connection(send, headers, subprotocol)
        except Exception:
            self._accepted = False  # Quart has noted it before; now it can still refuse
            raise

    async def handle_websocket(self, websocket: Websocket, send: ASGISendCallable) -> None:
        await _contained(super().handle_websocket(websocket, send))

    async def handle_messages(self, receive: ASGIReceiveCallable) -> None:
        await _contained(super().handle_messages(receive))


class Departure:
    """Ends the handler of a peer that is gone: where it waits for the next message, or after a while wherever it is.

    So the last message before a goodbye is still handled.
    """

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive
        self._handler = asyncio.current_task()
        self._cancelled = 0
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, grace: float) -> None:
        """`grace` is in seconds."""
        if not self._over:
            self._timer = asyncio.get_running_loop().call_later(grace, self._cancel)

    async def get(self) -> str | bytes:
        """The next message."""
        while True:
            event: Any = await self._receive()
            if event["type"] == "websocket.disconnect":
                await self._leave()
            elif event["type"] == "websocket.receive":
                data: str | bytes = event["text"] if event.get("bytes") is None else event["bytes"]
                await websocket_received.send_async(data)
                return data

    async def _leave(self) -> None:
        self._cancel()
        if asyncio.current_task() is self._handler:
            await asyncio.sleep(0)  # where the cancellation arrives
        raise asyncio.CancelledError  # in a task of the handler's own

    def _cancel(self) -> None:
        if self._handler and not self._over:
            self._cancelled += 1
            self._handler.cancel()

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, kind: Any, error: BaseException | None, _: Any) -> bool:  # noqa: ANN401  (as it must be)
        self._over = True
        if self._timer:
            self._timer.cancel()
        task = self._handler
        while task and self._cancelled:
            self._cancelled -= 1
            task.uncancel()
        ours = isinstance(error, asyncio.CancelledError) and not is_cancelling()
        if ours:
            # What stands around notes the end by it.
            while (await self._receive())["type"] != "websocket.disconnect":
                pass
        return ours


async def _contained(running: Awaitable[None]) -> None:
    """Turn what asyncio or Quart would treat as a signal of their own into an ordinary exception."""
    try:
        await running
    except asyncio.CancelledError as error:
        if is_cancelling():
            raise
        raise Escaped("CancelledError") from error
    except (SystemExit, KeyboardInterrupt, GeneratorExit, TimeoutError) as error:
        raise Escaped(type(error).__name__) from error


class Socket(Websocket):
    """What `quart.websocket` stands for; it knows how far it has come, and how to end after a failure."""

    is_accepted = False
    is_closed = False

    async def accept(self, headers: dict[str, str] | Headers | None = None, subprotocol: str | None = None) -> None:
        await super().accept(headers, subprotocol)
        self.is_accepted = True

    async def close(self, code: int, reason: str = "") -> None:
        await super().close(code, reason)
        self.is_closed = True

    async def fail(self, error: BaseException) -> None:
        """Close for `error`, which came out of the handler; what nobody expected is for the log alone."""
        refusal = error if isinstance(error, AppError) else translate(error)
        if refusal is None:
            log.error("websocket_failed", error=type(error).__name__, exc_info=error)
        elif refusal.status >= 500:
            log.warning("websocket_failed", error=type(error).__name__, code=refusal.code, reason=refusal.message)
        if not self.is_closed:
            await self.close(*_farewell(refusal))


def _farewell(refusal: AppError | None) -> tuple[int, str]:
    if refusal is None:
        return INTERNAL_ERROR, ""
    if refusal.status < 500:
        return POLICY_VIOLATION, refusal.message
    return TRY_AGAIN_LATER if refusal.status == ServiceUnavailable.status else INTERNAL_ERROR, refusal.message


class ContainedQuart(Quart):
    """What `Application` is made of."""

    asgi_http_class = HttpConnection
    asgi_websocket_class = WebsocketConnection
    websocket_class = Socket

    async def dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> ResponseReturnValue | None:
        """To the handler. As it comes, whatever is raised after the handshake closes the socket with 1000: all well."""
        socket: Any = (websocket_context or websocket_ctx).websocket
        try:
            return await super().dispatch_websocket(websocket_context)
        except (asyncio.CancelledError, *ANYTHING) as error:
            if not socket.is_accepted or (isinstance(error, asyncio.CancelledError) and is_cancelling()):
                raise
            await socket.fail(error)
            return None

    async def process_response(
        self, response: ResponseTypes, request_context: RequestContext | None = None
    ) -> ResponseTypes:
        """Run every `after_request` function; the answer of one that raises is a panic, which the rest still sees."""
        context = request_context or request_ctx
        for function in self._after(context):
            try:
                response = await self.ensure_async(function)(response)
            except ANYTHING as error:
                response = panic_response(error)
        session = context.session
        if session is not None and not self.session_interface.is_null_session(session):
            await self.ensure_async(self.session_interface.save_session)(self, session, response)
        return response

    def _after(self, context: Any) -> list[Callable[..., Any]]:  # noqa: ANN401  (the context or its proxy)
        names = [*context.request.blueprints, None]
        hooks = [hook for name in names for hook in reversed(self.after_request_funcs[name])]
        return [*context._after_request_functions, *hooks]  # noqa: SLF001  (as in the method this replaces)

    async def do_teardown_request(
        self, exc: BaseException | None, request_context: RequestContext | None = None
    ) -> None:
        names = [*(request_context or request_ctx).request.blueprints, None]
        hooks = [hook for name in names for hook in reversed(self.teardown_request_funcs[name])]
        await self._tear_down(hooks, request_tearing_down, exc)

    async def do_teardown_websocket(
        self, exc: BaseException | None, websocket_context: WebsocketContext | None = None
    ) -> None:
        names = [*(websocket_context or websocket_ctx).websocket.blueprints, None]
        hooks = [hook for name in names for hook in reversed(self.teardown_websocket_funcs[name])]
        await self._tear_down(hooks, websocket_tearing_down, exc)

    async def do_teardown_appcontext(self, exc: BaseException | None) -> None:
        await self._tear_down(self.teardown_appcontext_funcs, appcontext_tearing_down, exc)

    async def _tear_down(self, hooks: Iterable[Callable[..., Any]], signal: Any, exc: BaseException | None) -> None:  # noqa: ANN401  (blinker's)
        for hook in hooks:
            await _logged(self.ensure_async(hook)(exc))
        await _logged(signal.send_async(self, _sync_wrapper=self.ensure_async, exc=exc))


async def _logged(running: Awaitable[object]) -> None:
    """The answer is made by now: what goes wrong in clearing up is for the log."""
    try:
        await running
    except asyncio.CancelledError as error:
        if is_cancelling():
            raise
        log.error("teardown_failed", error="CancelledError", exc_info=error)  # noqa: TRY400  (it has no other traceback)
    except ANYTHING as error:
        log.error("teardown_failed", error=type(error).__name__, exc_info=error)  # noqa: TRY400  (also of BaseException)
