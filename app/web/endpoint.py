"""How a route is declared: its policy, what it reads and what it answers, in one place beside the handler.

The gates, the parser, `app routes` and the OpenAPI document all read this one declaration.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from types import SimpleNamespace
from typing import Any, get_type_hints

from quart.globals import request_ctx

from app.core.errors import AppError
from app.web.parsing import read_body, read_query
from app.web.policy import PUBLIC, Policy

ATTRIBUTE = "__endpoint__"

# Whatever it returns is the application's to answer with: a dataclass too, which Quart's own types would refuse.
Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Endpoint:
    """One declared route; `body`, `query` and the types in `answers` are dataclasses.

    `answers` maps a status to what its JSON body is made of, to a media type such as `text/csv`, or to None for a
    body of any kind.
    """

    policy: Policy
    body: type[Any] | None
    query: type[Any] | None
    answers: Mapping[int, Any]
    errors: tuple[type[AppError], ...]
    description: str


def endpoint(
    policy: Policy, *, answers: Mapping[int, Any] | None = None, errors: tuple[type[AppError], ...] = ()
) -> Callable[[Handler], Handler]:
    """Declare the handler below it.

    A parameter named `body` is parsed from the request's JSON into its annotation, one named `query` from the
    query string; both must be frozen dataclasses. What is wrong with them is answered before the handler runs.
    `errors` are the refusals of its own that the handler may raise; those of the edge need not be named.
    """

    def declare(handler: Handler) -> Handler:
        body, query = _annotation(handler, "body"), _annotation(handler, "query")
        view = _parsing(handler, body, query) if body or query else handler
        declared = Endpoint(policy, body, query, dict(answers or {200: None}), errors, inspect.getdoc(handler) or "")
        setattr(view, ATTRIBUTE, declared)
        return view

    return declare


def _annotation(handler: Callable[..., Any], parameter: str) -> Any:  # noqa: ANN401  (a class, or None)
    """What one parameter is to be; the other annotations may name types that are imported for the checker only."""
    alone = {name: hint for name, hint in inspect.get_annotations(handler).items() if name == parameter}
    holder = SimpleNamespace(__annotations__=alone)
    return get_type_hints(holder, getattr(handler, "__globals__", {}), include_extras=True).get(parameter)


def _parsing(handler: Handler, body: type[Any] | None, query: type[Any] | None) -> Handler:
    @wraps(handler)
    async def view(**path: Any) -> Any:  # noqa: ANN401  (whatever the handler takes and gives)
        incoming = request_ctx.request  # the object itself: each use of the proxy would look it up again
        if query is not None:
            path["query"] = read_query(query, incoming)
        if body is not None:
            path["body"] = await read_body(body, incoming)
        return await handler(**path)

    return view


def declared(view: Callable[..., Any]) -> Endpoint | None:
    """The declaration of a view function, or None where it has none."""
    found = getattr(view, ATTRIBUTE, None)
    return found if isinstance(found, Endpoint) else None


# What an application without its features (in tests) takes for a route that declares nothing.
UNDECLARED = Endpoint(PUBLIC, None, None, {200: None}, (), "")
