"""Decoded JSON, or the texts of a query string, into frozen dataclasses; all that is wrong is found in one go.

msgspec decides what a value of a type is, as its schema in the OpenAPI document says; it stops at the first fault,
so it is asked field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from app.core.errors import ValidationFailed
from app.web import sentences
from app.web.faults import Converter, Faults, below
from app.web.single import Single, unwrapped, wrapped


def converter(kind: Any, *, lax: bool) -> Converter:  # noqa: ANN401  (a type)
    """For one type; `lax` takes numbers and booleans from text."""
    bare, metas = unwrapped(kind)
    origin, inner = get_origin(bare), get_args(bare)
    if origin in {Union, UnionType} and NoneType in inner:
        rest = reduce(or_, (each for each in inner if each is not NoneType))
        return _optional(converter(wrapped(rest, metas), lax=lax))
    if is_dataclass(bare) and isinstance(bare, type):
        return record(bare, lax=lax)
    if origin is list or (origin is tuple and inner[1:] == (...,)):
        return _Many(origin, inner[0], metas, lax=lax)
    if origin is dict and inner[0] is str:
        return _Named(inner[1], metas, lax=lax)
    return Single(bare, metas, lax=lax)


def _optional(convert: Converter) -> Converter:
    def convert_if_given(value: Any, path: str, faults: Faults) -> Any:  # noqa: ANN401  (decoded JSON)
        return None if value is None else convert(value, path, faults)

    return convert_if_given


class _Many:
    """A list, or a tuple of any length."""

    def __init__(self, outer: type, inner: Any, metas: tuple[msgspec.Meta, ...], *, lax: bool) -> None:  # noqa: ANN401  (types)
        self.outer = outer
        self.metas = metas
        self.convert = converter(inner, lax=lax)
        # Plain values are converted together, and looked at one by one only where that fails.
        single = self.convert if isinstance(self.convert, Single) and not self.convert.right else None
        self.together = list[single.kind] if single else None  # type: ignore[name-defined]  # a type made at run time
        self.strict = single.strict if single else True

    def __call__(self, value: Any, path: str, faults: Faults) -> Any:  # noqa: ANN401  (decoded JSON)
        if not isinstance(value, list):
            faults.add(path, sentences.LIST)
            return None
        if wrong := [*sentences.for_constraints(value, self.metas)]:
            faults.add(path, *wrong)
        return self.outer(self._entries(value, path, faults))

    def _entries(self, values: list[Any], path: str, faults: Faults) -> list[Any]:
        if self.together is not None:
            try:
                return msgspec.convert(values, self.together, strict=self.strict)
            except msgspec.ValidationError:
                pass  # below, with the place of each
        return [self.convert(value, f"{path}[{index}]", faults) for index, value in enumerate(values)]


class _Named:
    """An object whose keys are data."""

    def __init__(self, inner: Any, metas: tuple[msgspec.Meta, ...], *, lax: bool) -> None:  # noqa: ANN401  (a type)
        self.metas = metas
        self.convert = converter(inner, lax=lax)

    def __call__(self, value: Any, path: str, faults: Faults) -> Any:  # noqa: ANN401  (decoded JSON)
        if not isinstance(value, dict):
            faults.add(path, sentences.OBJECT)
            return None
        if wrong := [*sentences.for_constraints(value, self.metas)]:
            faults.add(path, *wrong)
        return {name: self.convert(each, below(path, name), faults) for name, each in value.items()}


@dataclass(frozen=True, slots=True)
class _Field:
    convert: Converter
    required: bool


class Record:
    """A dataclass: its fields and no others."""

    def __init__(self, kind: type[Any], *, lax: bool) -> None:
        self.kind = kind
        self.lax = lax

    @cached_property
    def fields(self) -> Mapping[str, _Field]:
        """Resolved when first needed, as a dataclass may be part of itself."""
        hints = get_type_hints(self.kind, include_extras=True)
        return {
            field.name: _Field(
                converter(hints[field.name], lax=self.lax),
                field.default is MISSING and field.default_factory is MISSING,
            )
            for field in fields(self.kind)
            if field.init
        }

    @cached_property
    def lists(self) -> frozenset[str]:
        """The fields that take several values."""
        hints = get_type_hints(self.kind, include_extras=True)
        return frozenset(name for name in self.fields if _takes_several(hints[name]))

    def __call__(self, value: Any, path: str, faults: Faults) -> Any:  # noqa: ANN401  (decoded JSON)
        if not isinstance(value, dict):
            faults.add(path, sentences.OBJECT)
            return None
        before = len(faults.found)
        for name in value:
            if name not in self.fields:
                faults.add(below(path, name), sentences.UNKNOWN)
        given = dict(self._given(value, path, faults))
        return self._made(given, path, faults) if len(faults.found) == before else None

    def _given(self, value: dict[str, Any], path: str, faults: Faults) -> Iterator[tuple[str, Any]]:
        for name, field in self.fields.items():
            if name in value:
                yield name, field.convert(value[name], below(path, name), faults)
            elif field.required:
                faults.add(below(path, name), sentences.REQUIRED)

    def _made(self, given: dict[str, Any], path: str, faults: Faults) -> Any:  # noqa: ANN401  (one of `kind`)
        """`__post_init__` may refuse what only shows in several fields together."""
        try:
            return self.kind(**given)
        except ValidationFailed as error:
            for name, messages in (error.details or {}).items():
                faults.add(below(path, name), *messages)
        except ValueError as error:
            faults.add(path, str(error) or "is not valid")
        return None


def record(kind: type[Any], *, lax: bool) -> Record:
    """The converter of a dataclass, made once."""
    made = _records.get((kind, lax))
    if made is None:
        made = _records[kind, lax] = Record(kind, lax=lax)
    return made


_records: dict[tuple[type[Any], bool], Record] = {}


def _takes_several(kind: Any) -> bool:  # noqa: ANN401  (a type)
    bare, _ = unwrapped(kind)
    if get_origin(bare) in {Union, UnionType}:
        return any(map(_takes_several, get_args(bare)))
    return get_origin(bare) in {list, tuple}
