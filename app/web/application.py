"""The Quart application: holds every route to its policy, and ends every handler, whatever happens in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import is_dataclass
from typing import Any, Protocol, TypeVar

from quart import Request, Response, Websocket, current_app
from quart.ctx import RequestContext, WebsocketContext
from quart.globals import request_ctx, websocket_ctx
from quart.typing import ResponseReturnValue, ResponseTypes
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Rule

from app.core.errors import AppError, RequestTimeout, ServiceUnavailable
from app.core.json import dumps
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources
from app.web.body import FlowingConnection
from app.web.connection import HttpConnection
from app.web.containment import ContainedQuart
from app.web.endpoint import UNDECLARED, Endpoint, declared
from app.web.errors import error_response, install_error_handlers, panic_response
from app.web.exchange import exchange_of
from app.web.policy import Policy
from app.web.requests import JsonRequest
from app.web.routing import RoutedQuart

# Passes a request (or a handshake) whose route is known, or raises the `AppError` that refuses it.
Incoming = TypeVar("Incoming", Request, Websocket, Request | Websocket)
Gate = Callable[[Incoming, Endpoint], Awaitable[None]]
# Runs the handler of a WebSocket inside, or raises the `AppError` that refuses the handshake.
Admit = Callable[[Websocket, Endpoint], AbstractAsyncContextManager[None]]
Answering = Callable[[], Awaitable[ResponseTypes]]


class Around(Protocol):
    """Runs the handler inside something of its own, such as a transaction."""

    async def __call__(self, request: Request, endpoint: Endpoint, answer: Answering) -> ResponseTypes: ...


class Restarting(ServiceUnavailable):
    """The service is restarting; please try again."""


class Connection(FlowingConnection, HttpConnection):
    """Takes in no more than is read, and lets nothing out but its answer."""


class Application(RoutedQuart, ContainedQuart):
    """Quart with a deadline per request and a register of what is running.

    The deadline stands inside the dispatch, because one placed around the ASGI call neither stops the
    handler nor keeps it from sending a second response.
    """

    request_class = JsonRequest
    asgi_http_class = Connection

    def __init__(self, import_name: str, *, request_timeout: float, lifecycle: Lifecycle) -> None:
        """`request_timeout` is in seconds, from the parsed head to the finished handler."""
        super().__init__(import_name, static_folder=None)
        self.request_timeout = request_timeout
        self.gates: Sequence[Gate[Request]] = ()
        self.around: Around | None = None
        self.admission: Admit | None = None
        self.endpoints: dict[str, Endpoint] = {}
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
            return self._finished(await self._answer(task, request_context), request_context)
        finally:
            self.requests.discard(task)
            self._cut.discard(task)

    async def _answer(self, task: asyncio.Task[object], context: RequestContext | None) -> ResponseTypes:
        policy = self._note_route(context or request_ctx)
        try:
            with self.deadlines.within(policy.timeout or self.request_timeout):
                return await super().full_dispatch_request(context)
        except TimeoutError:
            return await self._finish(RequestTimeout(), context)
        except asyncio.CancelledError as error:
            return await self._cancelled(task, error, context)
        except (Exception, SystemExit, KeyboardInterrupt, GeneratorExit) as error:  # noqa: BLE001  (told to the log)
            # Quart's error handlers have had their turn: what comes here is an answer that could not be made, or
            # one of those that would end the process for all other requests.
            return await self.finalize_request(panic_response(error), context, from_error_handler=True)

    def _note_route(self, context: Any) -> Policy:  # noqa: ANN401  (the context or its proxy)
        """Tell the layers outside which route this is; of none, the address is counted under no name."""
        request: Request = context.request
        if request.url_rule is None:
            exchange_of(request.scope).route = _route_of_other_methods(context)
            return UNDECLARED.policy
        return self._note(request, request.url_rule).policy

    def _note(self, incoming: Request | Websocket, rule: Rule) -> Endpoint:
        endpoint = self.endpoint_of(incoming)
        exchange = exchange_of(incoming.scope)
        exchange.route, exchange.logged = rule.rule, endpoint.policy.counted
        return endpoint

    def endpoint_of(self, request: Request | Websocket) -> Endpoint:
        """The declaration of the route that answers `request`, which must have one."""
        name = request.endpoint or ""
        endpoint = self.endpoints.get(name)
        if endpoint is None:
            endpoint = self.endpoints[name] = declared(self.view_functions[name]) or UNDECLARED
        return endpoint

    async def dispatch_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue:
        """Through the gates to the handler; an unknown address and a question for the options need none."""
        request: Request = (request_context or request_ctx).request
        if request.routing_exception is not None or _asks_for_options(request):
            return await super().dispatch_request(request_context)
        endpoint = self.endpoint_of(request)
        for gate in self.gates:
            await gate(request, endpoint)

        async def answer() -> ResponseTypes:
            return await self.make_response(await super(Application, self).dispatch_request(request_context))

        return await answer() if self.around is None else await self.around(request, endpoint, answer)

    async def make_response(self, result: Any) -> ResponseTypes:  # noqa: ANN401  (whatever a handler may return)
        """Besides what Quart takes: a dataclass, alone or before a status, which leaves as JSON."""
        if isinstance(result, Response):  # made already; Quart asks twice
            return result
        value, *rest = result if isinstance(result, tuple) else (result,)
        if is_dataclass(value):
            value = Response(dumps(value), content_type="application/json")
            result = (value, *rest) if rest else value
        return await super().make_response(result)

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

    def _finished(self, response: ResponseTypes, context: RequestContext | None) -> ResponseTypes:
        """Add what gates have to say, and tell keep-alive clients to go elsewhere while this process drains."""
        if added := exchange_of((context or request_ctx).request.scope).headers:
            response.headers.update(added)
        if self.lifecycle.draining:
            response.headers["Connection"] = "close"
        return response

    def cut_requests(self) -> int:
        """End every running handler with a 503, and say how many there were."""
        return self._cancel(set(self.requests))

    def cut_websockets(self) -> int:
        """End every handler of a WebSocket, with a 503 where it has not opened yet; say how many there were."""
        return self._cancel(set(self.websockets))

    def _cancel(self, running: set[asyncio.Task[object]]) -> int:
        self._cut |= running
        for task in running:
            task.cancel()
        return len(running)

    async def full_dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> ResponseTypes | None:
        handshake: Websocket = (websocket_context or websocket_ctx).websocket
        if self.lifecycle.draining:
            exchange_of(handshake.scope).refuse(Restarting.code, "draining")
            return error_response(Restarting(retry_after=1))
        task = _current_task()
        self.websockets[task] = handshake
        try:
            refusal = await super().full_dispatch_websocket(websocket_context)
        except asyncio.CancelledError:
            if task not in self._cut:
                raise  # the peer has gone
            task.uncancel()
            refusal = error_response(Restarting(retry_after=1))  # for a handshake; an open socket has its close frame
        finally:
            self.websockets.pop(task, None)
            self._cut.discard(task)
        if refusal is not None:
            refusal.headers.update(exchange_of(handshake.scope).headers)
        return refusal

    async def dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> ResponseReturnValue | None:
        """To the handler, where the handshake is let in; it is the handler who accepts it."""
        handshake: Websocket = (websocket_context or websocket_ctx).websocket
        if handshake.url_rule is None:
            return await super().dispatch_websocket(websocket_context)
        endpoint = self._note(handshake, handshake.url_rule)
        async with self.admission(handshake, endpoint) if self.admission else nullcontext():
            return await super().dispatch_websocket(websocket_context)


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


def _route_of_other_methods(context: Any) -> str | None:  # noqa: ANN401  (as above)
    """The route that is there, where a 405 is due: the path itself may hold what is not for logs."""
    refused = context.request.routing_exception
    if not isinstance(refused, MethodNotAllowed) or not refused.valid_methods:
        return None
    try:
        rule, _ = context.url_adapter.match(method=next(iter(refused.valid_methods)), return_rule=True)
    except HTTPException:  # the other method would have been sent elsewhere
        return None
    return str(rule.rule)


def _asks_for_options(request: Request) -> bool:
    """True where Quart answers by itself; a route that declares OPTIONS is a route like any other."""
    return request.method == "OPTIONS" and bool(request.url_rule and request.url_rule.provide_automatic_options)
