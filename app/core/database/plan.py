"""Turns an SQLAlchemy Core expression into what asyncpg takes: SQL with `$1` placeholders and a list of arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import BindParameter, Insert, Update, bindparam, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from app.core.database.errors import StatementError

Values = Mapping[str, object]

# A query may change its session only by a command of its own or through a function; these two tell which do.
# A lock that ends with its transaction is none of them.
_LEAVES_NOTHING = re.compile(r"\s*(select|insert|update|delete|merge|with|values)\b", re.IGNORECASE)
_MAY_LEAVE = re.compile(r"set_config|advisory(?!_xact)", re.IGNORECASE)


def _as_is(value: object) -> object:
    return value


# The base dialect writes no casts, so the server infers each parameter's type from where it stands, and the
# statement check can hold it against the declared one. JSON is left to the connection's codec.
DIALECT = PGDialect(paramstyle="numeric_dollar", json_serializer=_as_is, json_deserializer=_as_is)  # type: ignore[no-untyped-call]  # SQLAlchemy left it out
DIALECT.supports_native_decimal = True


@dataclass(frozen=True, slots=True)
class Parameter:
    """One placeholder: a literal of the expression, or a value the caller gives by name."""

    name: str
    type: TypeEngine[Any]
    required: bool
    literal: bool
    default: object
    process: Callable[[Any], Any] | None


class Plan:
    """SQL and the recipe for its arguments; immutable, shared by all tasks."""

    __slots__ = (
        "_consumed",
        "_optional",
        "_processors",
        "_required",
        "_template",
        "leaves_traces",
        "parameters",
        "sql",
    )

    def __init__(
        self, sql: str, parameters: tuple[Parameter, ...] = (), *, consumed: frozenset[str] = frozenset()
    ) -> None:
        """`consumed` values are in the SQL already: the lists of `in_()`."""
        self.sql = sql
        self._consumed = consumed
        self.parameters = parameters
        self.leaves_traces = _LEAVES_NOTHING.match(sql) is None or _MAY_LEAVE.search(sql) is not None
        self._template = [_processed(parameter) for parameter in parameters]
        self._required = [(at, each.name) for at, each in enumerate(parameters) if each.required]
        self._optional = {each.name: at for at, each in enumerate(parameters) if not (each.required or each.literal)}
        self._processors = [
            (each.name, at, each.process) for at, each in enumerate(parameters) if each.process and not each.literal
        ]

    def bind(self, values: Values) -> list[object]:
        """Raises `StatementError` on a value that is missing or not asked for."""
        arguments = self._template.copy()
        try:
            for at, name in self._required:
                arguments[at] = values[name]
        except KeyError:
            raise self._mismatch(values) from None
        if len(values) != len(self._required):
            self._bind_optional(arguments, values)
        for name, at, process in self._processors:
            if name in values:
                arguments[at] = process(arguments[at])
        return arguments

    def _bind_optional(self, arguments: list[object], values: Values) -> None:
        for name in values.keys() - {name for _, name in self._required} - self._consumed:
            if name not in self._optional:
                raise self._mismatch(values)
            arguments[self._optional[name]] = values[name]

    def _mismatch(self, values: Values) -> StatementError:
        required = {name for _, name in self._required}
        missing = sorted(required - values.keys())
        unknown = sorted(values.keys() - required - self._optional.keys() - self._consumed)
        faults = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        accepted = ", ".join(sorted(required | self._optional.keys())) or "none"
        return StatementError(f"wrong parameters ({'; '.join(faults)}); it takes: {accepted}")


def _processed(parameter: Parameter) -> object:
    if parameter.required or parameter.process is None:
        return parameter.default
    return parameter.process(parameter.default)


def plan_of(expression: ClauseElement, values: Values | None = None) -> Plan:
    """Compile; `values` are only needed where the SQL depends on them (`in_()` with an expanding parameter)."""
    compiled = expression.compile(dialect=DIALECT)
    if isinstance(expression, ExecutableDDLElement):
        return Plan(str(compiled))
    return _plan(cast("SQLCompiler", compiled), values or {})


def _plan(compiled: SQLCompiler, values: Values) -> Plan:
    _refuse_column_defaults(compiled)
    if any(bind.expanding for bind in compiled.binds.values()):
        return _expanded(compiled, values)
    names = compiled.positiontup or []
    return Plan(compiled.string, tuple(_parameter(name, compiled.binds[name]) for name in names))


def _expanded(compiled: SQLCompiler, values: Values) -> Plan:
    """`in_()` has as many placeholders as its list has members."""
    unknown = [name for name, bind in compiled.binds.items() if bind.expanding and bind.required and name not in values]
    if unknown:
        raise StatementError(
            f"in_() with the parameter {unknown[0]!r} changes the SQL with every list; "
            f"write column == any_(bindparam({unknown[0]!r}, type_=ARRAY(...)))"
        )
    given = {name: values.get(name) for name, bind in compiled.binds.items() if bind.required}
    state = compiled.construct_expanded_state(given)
    origin = {new: old for old, names in state.parameter_expansion.items() for new in names}
    parameters = []
    for name in state.positiontup or []:
        bind = compiled.binds[origin.get(name, name)]
        if name in origin:
            parameters.append(_literal(name, bind, state.parameters[name]))
        else:
            parameters.append(_parameter(name, bind))
    consumed = frozenset(name for name, bind in compiled.binds.items() if bind.expanding and bind.required)
    return Plan(state.statement, tuple(parameters), consumed=consumed)


def _parameter(name: str, bind: BindParameter[Any]) -> Parameter:
    process = _processor(bind.type)
    return Parameter(name, bind.type, bind.required, bind.unique, bind.effective_value, process)


def _literal(name: str, bind: BindParameter[Any], value: object) -> Parameter:
    return Parameter(name, bind.type, required=False, literal=True, default=value, process=_processor(bind.type))


def _processor(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    return kind.dialect_impl(DIALECT).bind_processor(DIALECT)


def _refuse_column_defaults(compiled: SQLCompiler) -> None:
    """SQLAlchemy's engine would compute `Column(default=...)` per call; here it would silently become NULL."""
    for column in [*(compiled.insert_prefetch or ()), *(compiled.update_prefetch or ())]:
        raise StatementError(f"{column} has a default in Python: give the value, or declare a server_default")


@lru_cache(maxsize=512)
def _text_plan(sql: str) -> Plan:
    return plan_of(text(sql))


def bound(query: ClauseElement | str, values: Values | None) -> tuple[Plan, list[object]]:
    """Plan and arguments of a query that is compiled per call (text is compiled once and remembered)."""
    if isinstance(query, str):
        plan = _text_plan(query)
    elif values and isinstance(query, Insert | Update):
        plan, values = plan_of(query.values(**values)), None
    else:
        plan = plan_of(query, values)
    return plan, plan.bind(values or {})


def plan_of_many(query: ClauseElement | str, first: Values) -> Plan:
    """One plan for many sets of values, which all have the names of the first."""
    if isinstance(query, str):
        return _text_plan(query)
    if isinstance(query, Insert | Update):
        return plan_of(query.values({name: bindparam(name) for name in first}))
    return plan_of(query)
