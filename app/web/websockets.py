"""One WebSocket in Quart: in one task, ended when its peer is gone, and closed with a code that says how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Websocket
from quart.asgi import ASGIWebsocketConnection
from quart.signals import websocket_received
from werkzeug.datastructures import Headers

from app.core.database import translate
from app.core.errors import AppError, ServiceUnavailable
from app.core.scope_state import WIRE
from app.web.escapes import contained, is_cancelling

log = structlog.get_logger(__name__)

GRACE = 1.0  # seconds for a handler to come to its end when its peer has left in the middle of something

# Close codes, RFC 6455.
POLICY_VIOLATION, INTERNAL_ERROR, TRY_AGAIN_LATER = 1008, 1011, 1013


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
        await contained(super().handle_websocket(websocket, send))

    async def handle_messages(self, receive: ASGIReceiveCallable) -> None:
        await contained(super().handle_messages(receive))


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
            self._timer = None  # its context leads back to here
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
