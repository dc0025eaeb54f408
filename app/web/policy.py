"""What a route promises and demands: who may call it, how often, how long it may take, how much it reads.

Every route declares a policy or takes one of the named ones below; `app routes` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

SECOND, MINUTE, HOUR = 1, 60, 3600  # seconds
KIB = 1024  # bytes
MIB = 1024 * KIB


class Audience(StrEnum):
    """Who may call a route."""

    PUBLIC = "public"  # anybody
    USER = "user"  # whoever has signed in, person or machine
    ADMIN = "admin"  # whoever has signed in with the role `admin`
    SOCKET = "socket"  # whoever has signed in; where `websocket.anonymous` says so, anybody
    OPERATIONS = "operations"  # anybody from a network of `telemetry.networks`


class By(StrEnum):
    """What a limit counts."""

    ADDRESS = "address"
    CALLER = "caller"  # whoever has signed in; anonymous requests are counted by address
    ROUTE = "route"  # all requests together


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` in any `per` seconds, counted separately for each route and each `by`."""

    requests: int
    per: int
    by: By = By.ADDRESS

    def __str__(self) -> str:
        unit = {SECOND: "s", MINUTE: "min", HOUR: "h"}.get(self.per, f"{self.per} s")
        return f"{self.requests}/{unit} by {self.by}"


@dataclass(frozen=True, slots=True)
class Policy:
    """None stands for what the settings say: `rate_limit`, `server.request_timeout`, `server.body_limit`."""

    audience: Audience
    limits: tuple[Limit, ...] | None = None
    # What an API key has to have been given, as in `tasks:read`; a route without one is for people only.
    permission: str | None = None
    # True for what leads to a complete sign-in (`Caller.complete`): open to those whose sign-in lacks something, too.
    completing: bool = False
    timeout: float | None = None  # seconds from the parsed head to the finished handler
    body: int | None = None  # bytes
    # An unsafe method honours the header Idempotency-Key, which holds one transaction around the handler.
    idempotency: bool = True
    # False for probes and scrapes: not in the access log, and answered when others are turned away.
    counted: bool = True

    def but(self, **changes: Any) -> Self:  # noqa: ANN401  (each field has its own type)
        """This policy with some fields changed, as in `PUBLIC.but(limits=(Limit(5, MINUTE),))`."""
        return replace(self, **changes)


PUBLIC = Policy(Audience.PUBLIC)
SIGNED_IN = Policy(Audience.USER)
ADMIN = Policy(Audience.ADMIN)
# Touches nothing outside the process, so it has no limits and little time.
PROBE = Policy(Audience.PUBLIC, limits=(), timeout=5.0, body=0, idempotency=False, counted=False)
SCRAPE = PROBE.but(audience=Audience.OPERATIONS)
# What a browser loads: no body, no limit.
PAGE = Policy(Audience.PUBLIC, limits=(), timeout=5.0, body=0, idempotency=False)
# A WebSocket: the limit is on handshakes, of which a crowd behind one address makes many after a restart.
SOCKET = Policy(Audience.SOCKET, limits=(Limit(600, MINUTE),), permission="realtime:connect", idempotency=False)
