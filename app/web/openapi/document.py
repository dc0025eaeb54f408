"""The whole document; the same routes and settings give the same text, in any process."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from app.core.settings import Settings
from app.core.version import VERSION
from app.web.application import Application
from app.web.openapi import paths
from app.web.openapi.answers import HEADERS, Answers
from app.web.openapi.operations import IDEMPOTENCY_KEY, operation, tag_of
from app.web.openapi.schemas import Schema, Schemas
from app.web.openapi.security import SCHEMES, SIGNING_IN
from app.web.policy import Audience
from app.web.url_map import Route, routes_of

SPECIFICATION = "3.1.0"
DESCRIPTION = (
    "Errors have one body, whoever refuses the request: a sentence for a person, a code for programs, and details "
    "where they help. Every answer has an `X-Request-Id`; tell it when you report a problem. Every `GET` answers "
    "`HEAD`, and every address `OPTIONS`; another method is told 405, and a head that is too large 431."
)


def openapi_document(app: Application, settings: Settings) -> Schema:
    """Every route; of WebSockets, for which OpenAPI has no words, what their handlers say of them."""
    known = routes_of(app, settings)
    routes = [route for route in known if not route.websocket]
    schemas = Schemas(_kinds(routes))
    answers = Answers(schemas)
    found = _paths(routes, schemas, answers)
    return {
        "openapi": SPECIFICATION,
        "info": {"title": settings.app.name, "version": VERSION, "description": _description(known)},
        "servers": [{"url": "/"}],
        "tags": _tags(app, routes),
        "paths": _sorted(found),
        "components": {
            "schemas": _sorted(schemas.components),
            "responses": _sorted(answers.components),
            "parameters": {"Idempotency-Key": IDEMPOTENCY_KEY},
            "headers": HEADERS,
            **({"securitySchemes": SCHEMES} if _asks_who(routes) else {}),
        },
    }


def _description(routes: list[Route]) -> str:
    sockets = [route for route in routes if route.websocket]
    if not sockets:
        return DESCRIPTION
    return f"{DESCRIPTION}\n\nWebSockets:\n\n" + "\n".join(map(_socket, sockets))


def _socket(route: Route) -> str:
    summary = route.endpoint.description.partition("\n")[0]
    return f"- `{route.path}` ({_who(route)}): {summary}"


def _who(route: Route) -> str:
    audience = route.endpoint.policy.audience
    if route.in_force.anonymous:
        return "anybody"
    return "signed in" if audience in {Audience.USER, Audience.SOCKET} else f"audience `{audience}`"


def _kinds(routes: list[Route]) -> Iterator[Any]:
    for route in routes:
        endpoint = route.endpoint
        answered = (kind for kind in endpoint.answers.values() if not isinstance(kind, str))
        yield from (kind for kind in (endpoint.body, endpoint.query, *answered) if kind is not None)


def _asks_who(routes: list[Route]) -> bool:
    return any(route.endpoint.policy.audience in SIGNING_IN for route in routes)


def _paths(routes: list[Route], schemas: Schemas, answers: Answers) -> Schema:
    """One handler may answer several operations, whose ids tell them apart by method and then by number."""
    uses = Counter(route.name for route in routes for _ in route.methods)
    names: set[str] = set()
    found: dict[str, Schema] = {}
    for route in routes:
        for method in route.methods:
            name = _unused(route.name if uses[route.name] == 1 else f"{route.name}.{method.lower()}", names)
            item = found.setdefault(paths.template(route.path), {})
            item[method.lower()] = operation(route, method, name, schemas=schemas, answers=answers)
    return found


def _unused(name: str, names: set[str]) -> str:
    candidates = (name if number == 1 else f"{name}.{number}" for number in range(1, len(names) + 2))
    chosen = next(candidate for candidate in candidates if candidate not in names)
    names.add(chosen)
    return chosen


def _tags(app: Application, routes: list[Route]) -> list[Schema]:
    """Each blueprint by the first sentence of its module."""
    return [{"name": tag, **_told(app, tag)} for tag in sorted({tag_of(route) for route in routes})]


def _told(app: Application, tag: str) -> dict[str, str]:
    blueprint = app.blueprints.get(tag)
    module = sys.modules.get(blueprint.import_name) if blueprint else None
    text = (module.__doc__ or "").strip() if module else ""
    return {"description": text.splitlines()[0]} if text else {}


def _sorted(components: Mapping[str, Schema]) -> dict[str, Schema]:
    return dict(sorted(components.items()))
