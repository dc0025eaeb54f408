"""Requests into frozen dataclasses: JSON bodies and query strings, with every wrong field named at once."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from quart import Request

from app.core.json import NotJson, loads
from app.web import sentences
from app.web.conversion import record
from app.web.faults import Faults
from app.web.json import not_json, require_json

T = TypeVar("T")


async def read_body(kind: type[T], incoming: Request) -> T:
    """The JSON body of `incoming` as `kind`.

    Raises `UnsupportedMediaType`, `BadRequest` (not JSON), `ValidationFailed`, and what reading the body raises.
    """
    require_json(incoming.content_type)
    try:
        value = loads(cast(bytes, await incoming.get_data()))
    except NotJson as error:
        raise not_json(error) from error
    return _converted(kind, value, Faults(), lax=False)


def read_query(kind: type[T], incoming: Request) -> T:
    """The query string of `incoming` as `kind`. Raises `ValidationFailed`."""
    faults, lists = Faults(), record(kind, lax=True).lists
    given: dict[str, Any] = {}
    for name, texts in incoming.args.lists():
        given[name] = texts if name in lists else texts[0]
        if len(texts) > 1 and name not in lists:
            faults.add(name, sentences.TWICE)
    return _converted(kind, given, faults, lax=True)


def _converted(kind: type[T], value: object, faults: Faults, *, lax: bool) -> T:
    converted = record(kind, lax=lax)(value, "", faults)
    if faults.found:
        raise faults.error
    return cast(T, converted)
