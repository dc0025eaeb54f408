"""Requests into frozen dataclasses: JSON bodies and query strings, with every wrong field named at once."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from quart import Request

from app.core.errors import ValidationFailed

T = TypeVar("T")


async def read_body(kind: type[T], incoming: Request) -> T:
    """The JSON body of `incoming` as `kind`.

    Raises `UnsupportedMediaType`, `BadRequest` (not JSON) and `ValidationFailed`.
    """
    return _convert(kind, await incoming.get_json(force=True), strict=True)


def read_query(kind: type[T], incoming: Request) -> T:
    """The query string of `incoming` as `kind`. Raises `ValidationFailed`."""
    return _convert(kind, incoming.args.to_dict(), strict=False)


def _convert(kind: type[T], value: Any, *, strict: bool) -> T:  # noqa: ANN401  (decoded JSON)
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise ValidationFailed({"": [str(error)]}) from error
