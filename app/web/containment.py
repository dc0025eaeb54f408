"""Quart, where hooks, streams and teardown functions can harm no answer but their own, and never the server.

As it comes, one raising `after_request` function skips the others; a raising teardown function empties an answer that
was ready; a stream's TimeoutError is swallowed; and SystemExit out of any of them ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from quart import Request, Websocket
from quart.ctx import RequestContext, WebsocketContext
from quart.globals import request_ctx, websocket_ctx
from quart.signals import appcontext_tearing_down, request_tearing_down, websocket_tearing_down
from quart.typing import ResponseReturnValue, ResponseTypes

from app.web.connection import HttpConnection, PunctualQuart
from app.web.errors import panic_response
from app.web.escapes import ANYTHING, is_cancelling
from app.web.websockets import Socket, WebsocketConnection

log = structlog.get_logger(__name__)


class ContainedQuart(PunctualQuart):
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

    async def preprocess_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue | None:
        if not (self.before_request_funcs or self.url_value_preprocessors):  # as most often
            return None
        return await super().preprocess_request(request_context)

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
        own: list[Callable[..., Any]] = context._after_request_functions  # noqa: SLF001  (as in the method this replaces)
        return [*own, *_hooks(self.after_request_funcs, context.request)]

    async def do_teardown_request(
        self, exc: BaseException | None, request_context: RequestContext | None = None
    ) -> None:
        hooks = _hooks(self.teardown_request_funcs, (request_context or request_ctx).request)
        await self._tear_down(hooks, request_tearing_down, exc)

    async def do_teardown_websocket(
        self, exc: BaseException | None, websocket_context: WebsocketContext | None = None
    ) -> None:
        hooks = _hooks(self.teardown_websocket_funcs, (websocket_context or websocket_ctx).websocket)
        await self._tear_down(hooks, websocket_tearing_down, exc)

    async def do_teardown_appcontext(self, exc: BaseException | None) -> None:
        await self._tear_down(self.teardown_appcontext_funcs, appcontext_tearing_down, exc)

    async def _tear_down(self, hooks: Iterable[Callable[..., Any]], signal: Any, exc: BaseException | None) -> None:  # noqa: ANN401  (blinker's)
        for hook in hooks:
            await _logged(self.ensure_async(hook)(exc))
        if signal.receivers:
            await _logged(signal.send_async(self, _sync_wrapper=self.ensure_async, exc=exc))


def _hooks(
    registered: Mapping[Any, Sequence[Callable[..., Any]]], incoming: Request | Websocket
) -> list[Callable[..., Any]]:
    """Of the route's blueprints, from the innermost on, and of the application; each the last one first."""
    if not registered:  # as most often
        return []
    return [hook for name in (*incoming.blueprints, None) for hook in reversed(registered.get(name, ()))]


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
