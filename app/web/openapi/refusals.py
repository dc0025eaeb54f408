"""The errors that a route can give: those of the edge by its policy, and those that it declares itself."""

from __future__ import annotations

from collections.abc import Iterator

from app.core.errors import (
    AppError,
    BadRequest,
    Conflict,
    Forbidden,
    InternalError,
    NotFound,
    Panic,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    ServiceUnavailable,
    Unauthorized,
    Unprocessable,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)
from app.web.idempotency import UNSAFE
from app.web.openapi.security import SIGNING_IN
from app.web.policy import Audience
from app.web.url_map import Route

Kinds = dict[int, list[type[AppError]]]


def refusals(route: Route, method: str) -> Kinds:
    """By status, each class once; a subclass that a handler raises stands beside its kind."""
    found: Kinds = {}
    for kind in (*_of_the_edge(route, method), *route.endpoint.errors):
        classes = found.setdefault(kind.status, [])
        if kind not in classes:
            classes.append(kind)
    return dict(sorted(found.items()))


def _of_the_edge(route: Route, method: str) -> Iterator[type[AppError]]:
    yield from (RequestTimeout, InternalError, Panic, ServiceUnavailable)
    yield from _of_the_audience(route.endpoint.policy.audience)
    yield from _of_what_is_read(route, method)
    if method in UNSAFE:
        yield BadRequest  # an Idempotency-Key that is none, or that is not taken here
    if method in route.idempotent:
        yield from (Conflict, Unprocessable)
    if route.in_force.limits:
        yield RateLimited


def _of_the_audience(audience: Audience) -> Iterator[type[AppError]]:
    if audience in SIGNING_IN:
        yield Unauthorized
    if audience in SIGNING_IN or audience is Audience.OPERATIONS:
        yield Forbidden  # another role, a key that lacks the permission, a page of another origin, another network


def _of_what_is_read(route: Route, method: str) -> Iterator[type[AppError]]:
    endpoint = route.endpoint
    if "<" in route.path:
        # Of bytes that no address may hold, and of a value that the path's type does not allow.
        yield from (BadRequest, NotFound)
    if "<" in route.path or endpoint.query:
        yield UriTooLong
    if endpoint.body or endpoint.query:
        yield from (BadRequest, ValidationFailed)
    if endpoint.body:
        yield UnsupportedMediaType
    if endpoint.body or method in UNSAFE:
        yield PayloadTooLarge
