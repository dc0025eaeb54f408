"""One span for each request, from its head to the end of its answer; everything it leads to belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from app.web.exchange import exchange_of

if TYPE_CHECKING:  # imported where traces are on, and nowhere else
    from app.core.tracing.tracing import Tracing

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"


def traced(app: ASGIFramework, tracing: Tracing | None) -> ASGIFramework:
    """`app` itself where nothing is traced: then no request pays for a layer that does nothing."""
    return app if tracing is None else Traces(app, tracing)


class Traces:
    """Continues the caller's trace or begins one, and binds its id for the log."""

    def __init__(self, app: ASGIFramework, tracing: Tracing) -> None:
        self.app = app
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        with self.tracing.request(scope["method"], _carrier(scope["headers"])) as span:
            span.asked(
                request_id=exchange.request_id, client=exchange.client, scheme=exchange.scheme, path=scope["path"]
            )
            structlog.contextvars.bind_contextvars(trace_id=span.trace_id)
            try:
                await self.app(scope, receive, send)
            finally:
                span.forgotten = not exchange.logged
                span.answered(exchange.route, exchange.status)
                if not exchange.ended:
                    span.cut_short(by_client=exchange.gone)


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The two headers of W3C Trace Context; two parents are none, and several states are one list."""
    parents = [value for name, value in headers if name == TRACEPARENT]
    if len(parents) != 1:
        return {}
    states = b",".join(value for name, value in headers if name == TRACESTATE)
    return {"traceparent": parents[0].decode("latin1"), "tracestate": states.decode("latin1")}
