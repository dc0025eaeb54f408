"""Values without parts of their own: what msgspec takes for one, and the few that it should not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from app.web import sentences
from app.web.faults import Faults

DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
SMALLEST, LARGEST = -(2**63), 2**64 - 1


def unwrapped(kind: Any) -> tuple[Any, tuple[msgspec.Meta, ...]]:  # noqa: ANN401  (a type)
    metas: tuple[msgspec.Meta, ...] = ()
    while True:
        if get_origin(kind) is Annotated:
            kind, *notes = get_args(kind)
            metas += tuple(note for note in notes if isinstance(note, msgspec.Meta))
        elif hasattr(kind, "__supertype__"):  # a NewType
            kind = kind.__supertype__
        else:
            return kind, metas


def wrapped(kind: Any, metas: tuple[msgspec.Meta, ...]) -> Any:  # noqa: ANN401  (a type)
    for meta in metas:
        kind = Annotated[kind, meta]
    return kind


class Single:
    """A value without parts of its own, or with parts that only msgspec knows."""

    def __init__(self, bare: Any, metas: tuple[msgspec.Meta, ...], *, lax: bool) -> None:  # noqa: ANN401  (a type)
        self.bare = bare
        self.metas = metas
        self.strict = not (lax and _has_no_text(bare))
        # A moment without its zone is not one moment; its schema, `date-time`, asks for the zone too (RFC 3339).
        zone = (msgspec.Meta(tz=True),) if bare is datetime else ()
        self.kind = wrapped(bare, zone + metas)
        self.right = _beyond_msgspec(bare, lax=lax)

    def __call__(self, value: Any, path: str, faults: Faults) -> Any:  # noqa: ANN401  (decoded JSON)
        try:
            converted = msgspec.convert(value, self.kind, strict=self.strict)
        except msgspec.ValidationError:
            faults.add(path, *self._reasons(value))
            return None
        if self.right is not None and not self.right(value, converted):
            faults.add(path, sentences.for_kind(self.bare))
        return converted

    def _reasons(self, value: Any) -> list[str]:  # noqa: ANN401  (decoded JSON)
        try:
            plain = msgspec.convert(value, self.bare, strict=self.strict)
        except msgspec.ValidationError:
            return [sentences.for_kind(self.bare)]
        return [*sentences.for_constraints(plain, self.metas)] or [sentences.for_kind(self.bare)]


def _has_no_text(bare: Any) -> bool:  # noqa: ANN401  (a type)
    """True for what a query string can only spell; dates and the like are text in JSON too."""
    if get_origin(bare) is Literal:
        return any(isinstance(choice, int) for choice in get_args(bare))
    if isinstance(bare, type) and issubclass(bare, Enum):
        return any(isinstance(member.value, int) for member in bare)
    return bare in {int, float, bool}


def _beyond_msgspec(bare: Any, *, lax: bool) -> Callable[[Any, Any], bool] | None:  # noqa: ANN401  (a type)
    """What is still to be asked of a value, and of what it became."""
    if bare is Decimal:  # from a number it has been rounded; NaN is none, and an exponent can be a bomb
        return lambda value, _: isinstance(value, str) and DECIMAL.fullmatch(value) is not None
    if bare is int and lax:  # as in JSON
        return lambda _, converted: SMALLEST <= converted <= LARGEST
    if bare is float and lax:
        return lambda _, converted: math.isfinite(converted)
    return None
