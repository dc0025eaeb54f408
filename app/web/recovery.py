"""What is raised outside of the dispatch ends one request: answered where that is possible, cut off where not."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from app.core.errors import Panic
from app.core.scope_state import ABORT
from app.web.errors import log_panic
from app.web.escapes import is_cancelling
from app.web.exchange import Exchange, exchange_of
from app.web.refusal import refuse

log = structlog.get_logger(__name__)

INTERNAL_ERROR = 1011  # close code, RFC 6455


class NoAnswer(Exception):
    """The application came back without an answer."""


class Recovery:
    """Answers 500 while nothing has been sent, and else cuts the connection; a real cancellation passes.

    What has been sent is what `RequestIds` has noted. SystemExit and its like are caught, too: out of a task they
    would end the server for everybody.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        error: BaseException | None = None
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError as cancelled:
            if is_cancelling():
                raise
            error = cancelled
        except BaseException as raised:  # noqa: BLE001  (told to the log, and the server goes on)
            error = raised
        # Quart comes back like this from a stream whose time for sending is over.
        if error is not None or not (exchange.ended or exchange.gone):
            await _recover(scope, send, exchange, error or NoAnswer(NoAnswer.__doc__))


async def _recover(scope: Scope, send: ASGISendCallable, exchange: Exchange, error: BaseException) -> None:
    if exchange.status is None:
        log_panic(error)
        if not exchange.gone:
            await refuse(scope, send, Panic(), close=scope["type"] == "http")
    elif exchange.ended or exchange.gone:
        log_panic(error)
    elif scope["type"] == "websocket":
        log_panic(error)
        await send({"type": "websocket.close", "code": INTERNAL_ERROR, "reason": None})
    else:
        log.error("stream_failed", error=type(error).__name__, sent=exchange.sent, exc_info=error)
        _cut(scope)


def _cut(scope: Any) -> None:  # noqa: ANN401  (of HTTP)
    abort = (scope.get("state") or {}).get(ABORT)
    if abort is not None:
        abort()
