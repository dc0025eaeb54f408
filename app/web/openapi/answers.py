"""What a route answers, refusals included, as OpenAPI's responses."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from app.core.error_catalogue import entry
from app.core.errors import CATALOGUE, AppError
from app.web.openapi.refusals import refusals
from app.web.openapi.schemas import ERROR, TEMPLATE, Schema, Schemas
from app.web.url_map import Route

JSON = "application/json"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BODILESS = REDIRECTS | {204, 205, 304}
OF_STATUS = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
LIMITS = ("X-RateLimit-Limit", "X-RateLimit-Remaining")

HEADERS: dict[str, Schema] = {
    "X-Request-Id": {
        "description": "Names this request in the log; the caller's own, where it sent a sane one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9-]{8,64}$"},
    },
    "Retry-After": {
        "description": "Seconds after which to come again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "The scheme that is expected.",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-RateLimit-Limit": {
        "description": "Requests allowed in the window that is nearest to its end.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "Requests left in it.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Idempotency-Replayed": {
        "description": "There where this is the answer of an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "Where to go instead.",
        "schema": {"type": "string"},
    },
}


class Answers:
    """Builds the responses of each operation, and keeps those that operations share."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self.components: dict[str, Schema] = {}

    def of(self, route: Route, method: str) -> Schema:
        refused = refusals(route, method)
        limits = LIMITS if route.in_force.limits else ()
        replayed = ("Idempotency-Replayed",) if method in route.idempotent else ()
        responses = {status: self._refusal(kinds, limits) for status, kinds in refused.items()}
        for status, kind in route.endpoint.answers.items():
            location = ("Location",) if status in REDIRECTS else ()
            response = {
                "description": HTTPStatus(status).phrase,
                "headers": _headers(*location, *replayed, *limits),
            }
            if status not in BODILESS:
                response["content"] = self._content(kind, refused.get(status, ()))
            responses[status] = response
        return {str(status): response for status, response in sorted(responses.items())}

    def _content(self, kind: Any, also: Iterable[type[AppError]]) -> Schema:  # noqa: ANN401  (a type, a media type or None)
        """`also` are the refusals with the same status; their body is one of those that may come."""
        error = error_of(also) if also else None
        if kind is None:
            return {"*/*": {}}
        if isinstance(kind, str):
            own = {kind: {} if kind == JSON else {"schema": {"type": "string"}}}
            return own | ({JSON: {"schema": error}} if error and kind != JSON else {})
        schema = self.schemas.of(kind)
        return {JSON: {"schema": {"anyOf": [schema, error]} if error else schema}}

    def _refusal(self, kinds: list[type[AppError]], limits: tuple[str, ...]) -> Schema:
        """A reference where every class is one of the edge's own, whose names are known."""
        own = OF_STATUS.get(kinds[0].status, ())
        response = {
            "description": "\n\n".join(f"`{kind.code}`: {entry(kind).sentence}" for kind in kinds),
            "headers": _headers(*own, *limits),
            "content": {
                JSON: {"schema": error_of(kinds), "examples": {kind.__name__: _example(kind) for kind in kinds}}
            },
        }
        if not all(kind in CATALOGUE for kind in kinds):
            return response
        name = "Or".join(kind.__name__ for kind in kinds) + ("WithLimits" if limits else "")
        self.components[name] = response
        return {"$ref": f"#/components/responses/{name}"}


def error_of(kinds: Iterable[type[AppError]]) -> Schema:
    """The one body, with the codes that it may have here."""
    codes = list(dict.fromkeys(kind.code for kind in kinds))
    return {"allOf": [{"$ref": TEMPLATE.format(name=ERROR)}, {"properties": {"code": {"enum": codes}}}]}


def _example(kind: type[AppError]) -> Schema:
    return {"value": {"error": entry(kind).sentence, "code": kind.code}}


def _headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}
