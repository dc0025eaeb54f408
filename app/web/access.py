"""One line for each request, when its answer has ended, and two for each socket; whoever counts is told here, too."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Protocol

import structlog
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from app.web.access_paths import path_of
from app.web.exchange import Exchange, exchange_of
from app.web.socket_access import NoSocketObserver, SocketObserver, logged_socket

log = structlog.get_logger(__name__)

LONGEST_METHOD = 20


class HttpObserver(Protocol):
    """Metrics implement this; each method must return at once and never raise."""

    def began(self) -> None:
        """A request's head has come."""

    def ended(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Its answer has ended.

        `method` is the client's own word, `route` the template of the path or None where none matched, `status` 0
        where the client left before there was one.
        """


class NoHttpObserver:
    """Nobody is watching."""

    def began(self) -> None: ...

    def ended(self, method: str, route: str | None, status: int, seconds: float) -> None: ...


class AccessLog:
    """Logs `request`: method, route, status, duration, bytes, client and caller; never a header or the query.

    `outcome` is there only where the answer did not end as it should: `disconnected` (the client left),
    `cancelled` (the process ended) or `broken` (the stream failed; `stream_failed` says why). Such a request, and one
    with a status from 500 on, is a warning, but for clients that leave.

    Probes and scrapes are left out, but for a 500 and for answers that did not end: their 503 is what they are for,
    and whoever asks them every second knows it already.
    """

    def __init__(
        self, app: ASGIFramework, *, observer: HttpObserver | None = None, sockets: SocketObserver | None = None
    ) -> None:
        self.app = app
        self._observer = observer or NoHttpObserver()
        self._sockets = sockets or NoSocketObserver()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "websocket":
            await logged_socket(self.app, scope, receive, send, self._sockets)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange, began = exchange_of(scope), perf_counter()
        self._observer.began()
        outcome = "cancelled"
        try:
            await self.app(scope, receive, send)
            outcome = _outcome(exchange)
        except Exception:
            outcome = _outcome(exchange)
            raise
        finally:
            seconds = perf_counter() - began
            self._observer.ended(scope["method"], exchange.route, exchange.status or 0, seconds)
            _log(scope, exchange, outcome, seconds)


def _outcome(exchange: Exchange) -> str:
    if exchange.ended:
        return ""
    return "disconnected" if exchange.gone else "broken"


def _log(scope: HTTPScope, exchange: Exchange, outcome: str, seconds: float) -> None:
    status = exchange.status
    if not (exchange.logged or outcome or status == 500):
        return
    line: dict[str, Any] = {"method": scope["method"][:LONGEST_METHOD], "route": exchange.route}
    if exchange.route is None:
        line["path"] = path_of(scope["raw_path"])
    line |= {
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "bytes": 0 if scope["method"] == "HEAD" else exchange.sent,
        "client": exchange.client,
    }
    if exchange.caller is not None:
        line["caller"] = str(exchange.caller.id)
    if outcome:
        line["outcome"] = outcome
    unwell = (status or 0) >= 500 or outcome in {"broken", "cancelled"}
    (log.warning if unwell else log.info)("request", **line)
