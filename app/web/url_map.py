"""Every route with its declaration and what is in force for it: what `app routes` and the OpenAPI document read."""

from __future__ import annotations

from dataclasses import dataclass

from werkzeug.routing import Rule

from app.core.settings import Settings
from app.web.application import Application
from app.web.endpoint import UNDECLARED, Endpoint, declared
from app.web.idempotency import UNSAFE
from app.web.policy import MINUTE, Audience, Limit, Policy

# Quart answers these two by itself, wherever they are not declared.
AUTOMATIC = frozenset({"HEAD", "OPTIONS"})


@dataclass(frozen=True)
class InForce:
    """A policy with what it leaves to the settings filled in.

    Of a WebSocket, `timeout` and `limits` are about its handshake, and `body` is the largest message of a client.
    """

    limits: tuple[Limit, ...]
    timeout: float  # seconds
    body: int  # bytes
    anonymous: bool  # whether it is reached without credentials


@dataclass(frozen=True)
class Route:
    """One address; `path` as it is declared, `name` as `blueprint.function`."""

    path: str
    methods: tuple[str, ...]
    name: str
    websocket: bool
    endpoint: Endpoint
    in_force: InForce

    @property
    def idempotent(self) -> tuple[str, ...]:
        """The methods that honour an Idempotency-Key."""
        return tuple(method for method in self.methods if self.endpoint.policy.idempotency and method in UNSAFE)


def routes_of(app: Application, settings: Settings) -> list[Route]:
    """Every route, by path and then by method."""
    routes = [_route(app, rule, settings) for rule in app.url_map.iter_rules()]
    return sorted(routes, key=lambda route: (route.path, route.methods, route.name))


def _route(app: Application, rule: Rule, settings: Settings) -> Route:
    endpoint = declared(app.view_functions[rule.endpoint]) or UNDECLARED
    methods = tuple(sorted((rule.methods or set()) - AUTOMATIC))
    promised = in_force(endpoint.policy, settings, websocket=rule.websocket)
    return Route(rule.rule, methods, rule.endpoint, rule.websocket, endpoint, promised)


def in_force(policy: Policy, settings: Settings, *, websocket: bool = False) -> InForce:
    """What the policy and, where it is silent, the settings promise."""
    body = settings.server.body_limit if policy.body is None else policy.body
    open_to_all = {Audience.PUBLIC} | ({Audience.SOCKET} if settings.websocket.anonymous else set())
    return InForce(
        limits=_limits(policy, settings),
        timeout=settings.server.request_timeout if policy.timeout is None else policy.timeout,
        body=settings.websocket.message_limit if websocket else body,
        anonymous=policy.audience in open_to_all,
    )


def _limits(policy: Policy, settings: Settings) -> tuple[Limit, ...]:
    if not settings.rate_limit.enabled:
        return ()
    if policy.limits is not None:
        return policy.limits
    per_minute = settings.rate_limit.per_minute
    return (Limit(per_minute, MINUTE),) if per_minute else ()
