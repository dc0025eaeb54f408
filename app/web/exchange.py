"""One request and its answer, as the layers of the edge tell each other about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.core.ids import new_id_text
from app.web.callers import Caller

KEY = "plinth.exchange"


@dataclass(slots=True)
class Exchange:
    """What is known of a request so far; each field is written by one layer and read by those outside it."""

    request_id: str
    client: str = ""  # the address the request came from, beyond trusted proxies
    scheme: str = "http"
    route: str | None = None  # the template of the path, None where no route matched
    logged: bool = True  # False for probes and metrics, which would bury the rest
    caller: Caller | None = None  # None until somebody was asked to say, and on public routes
    headers: dict[str, str] = field(default_factory=dict)  # what gates add to the answer, an error too
    code: str = ""  # of the error that a handshake was refused with
    reason: str = ""  # for that, in one word of a fixed set

    # The answer, as `RequestIds` sees it leave.
    status: int | None = None  # None until the server has taken a head; 101 for an accepted WebSocket
    sent: int = 0  # bytes of the body
    ended: bool = False  # all of the answer was handed to the server
    gone: bool = False  # the client left before that

    def refuse(self, code: str, reason: str | None = None) -> None:
        """Note why there is no socket; after the handshake, that is no refusal any more."""
        if self.status is None:
            self.code, self.reason = code, reason or code.lower()


def exchange_of(scope: Any) -> Exchange:  # noqa: ANN401  (a dict, but typed differently by each library)
    """The exchange of an ASGI scope; where no layer began one (an application without its edge), a new one."""
    exchange = scope.get(KEY)
    if not isinstance(exchange, Exchange):
        client = scope.get("client")
        exchange = scope[KEY] = Exchange(new_id_text(), client[0] if client else "", scope.get("scheme", "http"))
    return exchange
