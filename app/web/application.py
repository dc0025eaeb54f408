"""The Quart application that ends every handler: in time, after a panic, and when the process stops."""

from __future__ import annotations

import asyncio

from quart import Quart, Websocket, current_app
from quart.ctx import RequestContext, WebsocketContext
from quart.typing import ResponseTypes

from app.core.errors import AppError, RequestTimeout, ServiceUnavailable
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources
from app.web.errors import error_response, install_error_handlers, panic_response
from app.web.requests import JsonRequest


class Restarting(ServiceUnavailable):
    """The service is restarting; please try again."""


class Application(Quart):
    """Quart with a deadline per request and a register of what is running.

    The deadline stands inside the dispatch, because one placed around the ASGI call neither stops the
    handler nor keeps it from sending a second response.
    """

    request_class = JsonRequest

    def __init__(self, import_name: str, *, request_timeout: float, lifecycle: Lifecycle) -> None:
        """`request_timeout` is in seconds, from the parsed head to the finished handler."""
        super().__init__(import_name, static_folder=None)
        self.request_timeout = request_timeout
        self.lifecycle = lifecycle
        self.resources: Resources | None = None
        self.requests: set[asyncio.Task[object]] = set()
        self.websockets: dict[asyncio.Task[object], Websocket] = {}
        self._cut: set[asyncio.Task[object]] = set()
        install_error_handlers(self)

    async def full_dispatch_request(self, request_context: RequestContext | None = None) -> ResponseTypes:
        task = _current_task()
        self.requests.add(task)
        try:
            return self._say_close(await self._answer(task, request_context))
        finally:
            self.requests.discard(task)
            self._cut.discard(task)

    async def _answer(self, task: asyncio.Task[object], context: RequestContext | None) -> ResponseTypes:
        try:
            async with asyncio.timeout(self.request_timeout):
                return await super().full_dispatch_request(context)
        except TimeoutError:
            return await self._finish(RequestTimeout(), context)
        except asyncio.CancelledError as error:
            return await self._cancelled(task, error, context)
        except (Exception, SystemExit, KeyboardInterrupt, GeneratorExit) as error:  # noqa: BLE001  (told to the log)
            # Quart's error handlers have had their turn: what comes here is an answer that could not be made, or
            # one of those that would end the process for all other requests.
            return await self.finalize_request(panic_response(error), context, from_error_handler=True)

    async def _cancelled(
        self, task: asyncio.Task[object], error: asyncio.CancelledError, context: RequestContext | None
    ) -> ResponseTypes:
        if task in self._cut:
            task.uncancel()
            return await self._finish(Restarting(retry_after=1), context)
        if task.cancelling():
            raise error  # the client has gone: nobody is left to answer
        return await self.finalize_request(panic_response(error), context, from_error_handler=True)

    async def _finish(self, error: AppError, context: RequestContext | None) -> ResponseTypes:
        return await self.finalize_request(error_response(error), context, from_error_handler=True)

    def _say_close(self, response: ResponseTypes) -> ResponseTypes:
        """Tell keep-alive clients to go elsewhere while this process drains."""
        if self.lifecycle.draining:
            response.headers["Connection"] = "close"
        return response

    def cut_requests(self) -> int:
        """End every running handler with a 503, and say how many there were."""
        running = set(self.requests)
        self._cut |= running
        for task in running:
            task.cancel()
        return len(running)

    async def full_dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> ResponseTypes | None:
        if self.lifecycle.draining:
            return error_response(Restarting(retry_after=1))
        task = _current_task()
        if websocket_context is not None:
            self.websockets[task] = websocket_context.websocket
        try:
            return await super().full_dispatch_websocket(websocket_context)
        finally:
            self.websockets.pop(task, None)


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("A handler runs inside a task of the event loop.")
    return task


def resources() -> Resources:
    """What the application serving this request holds open.

    Routes ask for it and hand its parts on; services and repositories take them as arguments.
    Raises `RuntimeError` where no request is being served, or the application was never opened.
    """
    opened = current_app.resources if isinstance(current_app, Application) else None
    if opened is None:
        raise RuntimeError("The application has no open resources: it was built for its routes only.")
    return opened
