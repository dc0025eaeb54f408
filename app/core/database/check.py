"""Holds a statement against a real schema: the counterpart of queries checked at compile time."""

from __future__ import annotations

from typing import Any

import asyncpg
from sqlalchemy.types import NullType, TypeEngine

from app.core.database.driver import RawConnection
from app.core.database.plan import DIALECT
from app.core.database.rows import Value
from app.core.database.statement import Statement

_TEXT = {"text", "varchar", "bpchar", "name"}
_WHOLE = ["int2", "int4", "int8"]
_REAL = ["float4", "float8"]


async def check_statement(raw: RawConnection, statement: Statement) -> list[str]:
    """The faults of a statement on this connection's schema, as sentences; none is a good sign."""
    try:
        prepared = await raw.prepare(statement.sql)
    except asyncpg.PostgresError as error:
        return [f"{statement.name}: {error}"]
    faults = []
    for parameter, actual in zip(statement.plan.parameters, prepared.get_parameters(), strict=True):
        if fault := await _mismatch(raw, parameter.type, actual, given=True):
            faults.append(f"{statement.name}: parameter {parameter.name!r} {fault}")
    attributes = prepared.get_attributes()
    if statement.columns and len(statement.columns) != len(attributes):
        return [*faults, f"{statement.name}: gives {len(attributes)} columns, declared are {len(statement.columns)}"]
    for (name, kind), attribute in zip(statement.columns, attributes, strict=False):
        if fault := await _mismatch(raw, kind, attribute.type, given=False):
            faults.append(f"{statement.name}: column {name!r} {fault}")
    return faults


async def _mismatch(raw: RawConnection, declared: TypeEngine[Any], actual: Value, *, given: bool) -> str | None:
    if isinstance(declared, NullType):
        return None
    name = await _server_name(raw, declared)
    if name is None:
        return f"is declared {declared!r}, a type the server does not have"
    if _fits(name, actual.name, given=given):
        return None
    return f"is {actual.name} in the database, but declared {name}"


async def _server_name(raw: RawConnection, declared: TypeEngine[Any]) -> str | None:
    """The server's own name of a declared type: VARCHAR(30) is varchar, INTEGER[] is int4[]."""
    text = declared.dialect_impl(DIALECT).compile(dialect=DIALECT)
    found: str | None = await raw.fetchval(
        "SELECT CASE WHEN t.typelem <> 0 AND t.typcategory = 'A' THEN e.typname || '[]' ELSE t.typname END"
        " FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem WHERE t.oid = to_regtype($1)",
        text,
    )
    return found


def _fits(declared: str, actual: str, *, given: bool) -> bool:
    if declared.endswith("[]") and actual.endswith("[]"):
        return _fits(declared[:-2], actual[:-2], given=given)
    for family in (_WHOLE, _REAL):
        if declared in family and actual in family:
            # What is read fits any Python number; what is given must fit the column.
            return not given or family.index(declared) <= family.index(actual)
    return declared == actual or {declared, actual} <= _TEXT
