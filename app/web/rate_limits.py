"""Holds callers to the limits of each route, and lets everybody pass while nobody can count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog
from quart import Request, Websocket

from app.core.customers import customer
from app.core.errors import Forbidden, RateLimited, Unauthorized
from app.core.rate_limit import Decision, Window, take
from app.core.redis import RedisUnavailable
from app.core.settings.sections import RateLimit
from app.web.application import Gate, resources
from app.web.endpoint import Endpoint
from app.web.exchange import Exchange, exchange_of
from app.web.policy import MINUTE, By, Limit, Policy

log = structlog.get_logger(__name__)


class RateLimitObserver(Protocol):
    """Metrics implement this; it must return at once and never raise."""

    def decided(self, route: str, outcome: str) -> None:
        """A route with limits was asked for; `outcome` is `allowed`, `limited` or `unavailable` (nobody counted)."""


class NoObserver:
    """Nobody is watching."""

    def decided(self, route: str, outcome: str) -> None: ...


class RateLimits:
    """The gate that counts, once the one inside it knows the caller; those whom that one refuses are counted too."""

    def __init__(
        self,
        settings: RateLimit,
        *,
        inside: Gate[Request | Websocket] | None = None,
        observer: RateLimitObserver | None = None,
    ) -> None:
        self.inside = inside
        self.enabled = settings.enabled
        self.usual = (Limit(settings.per_minute, MINUTE),) if settings.per_minute else ()
        self.observer = observer or NoObserver()
        self._counting = True

    async def __call__(self, request: Request | Websocket, endpoint: Endpoint) -> None:
        """Raises `RateLimited`, and what the gate inside raises."""
        limits = self._limits(endpoint.policy)
        try:
            if self.inside:
                await self.inside(request, endpoint)
        except (Unauthorized, Forbidden):
            # Guessing has its limits, but who may not call can't use up what all callers share.
            await self._count(request, [limit for limit in limits if limit.by is not By.ROUTE])
            raise
        await self._count(request, limits)

    async def _count(self, request: Request | Websocket, limits: Sequence[Limit]) -> None:
        if not limits:
            return
        exchange = exchange_of(request.scope)
        route = exchange.route or ""
        decision = await self._decide([_window(limit, _method(request), route, exchange) for limit in limits])
        if decision is None:
            self.observer.decided(route, "unavailable")
            return
        self.observer.decided(route, "allowed" if decision.passes else "limited")
        exchange.headers["X-RateLimit-Limit"] = str(decision.limit)
        exchange.headers["X-RateLimit-Remaining"] = str(decision.remaining)
        if not decision.passes:
            raise RateLimited(retry_after=decision.retry_after)

    def _limits(self, policy: Policy) -> tuple[Limit, ...]:
        if not self.enabled:
            return ()
        return self.usual if policy.limits is None else policy.limits

    async def _decide(self, windows: Sequence[Window]) -> Decision | None:
        """None where Redis can't count: a limit is not worth the service."""
        try:
            decision = await take(resources().redis, windows)
        except RedisUnavailable as error:
            self._note(counting=False, cause=error.__cause__)
            return None
        self._note(counting=True)
        return decision

    def _note(self, *, counting: bool, cause: BaseException | None = None) -> None:
        """One line per change: while Redis is away, every request would write one."""
        if counting is self._counting:
            return
        self._counting = counting
        if counting:
            log.info("rate_limits_counting")
        else:
            # No cause: Redis is known to be down, and was not asked.
            log.warning("rate_limits_not_counting", error=str(cause) or type(cause).__name__ if cause else None)


def _method(request: Request | Websocket) -> str:
    """HEAD is answered by the handler of GET, so it may not be a way around its limit; a handshake never is."""
    if isinstance(request, Websocket):
        return "WEBSOCKET"
    return "GET" if request.method == "HEAD" else request.method


def _window(limit: Limit, method: str, route: str, exchange: Exchange) -> Window:
    # The limit is part of the key: after a change of it the old counts fit neither its number nor its time.
    key = f"limit:{method} {route}:{limit.requests}/{limit.per}:{_counted(limit.by, exchange)}"
    return Window(key, limit.requests, limit.per)


def _counted(by: By, exchange: Exchange) -> str:
    if by is By.ROUTE:
        return "route"
    if by is By.CALLER and exchange.caller is not None:
        return f"caller:{exchange.caller.id}"
    return f"address:{customer(exchange.client)}"
