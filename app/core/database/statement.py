"""A query compiled once, when its module is imported: the form for every hot path."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeEngine

from app.core.database.errors import StatementError
from app.core.database.plan import Plan, plan_of

_registry: dict[str, Statement] = {}


class Statement:
    """A named, compiled query; `name` is what logs and metrics call it.

    Building one per call costs about as much as running it: SQLAlchemy needs longer to write the SQL than
    PostgreSQL to answer it. Raises `StatementError` where the expression can't be fixed once and for all.
    """

    __slots__ = ("columns", "name", "plan")

    def __init__(
        self, expression: ClauseElement, *, name: str, registry: MutableMapping[str, Statement] = _registry
    ) -> None:
        if name in registry:
            raise StatementError(f"there are two statements with the name {name!r}")
        self.name = name
        self.plan: Plan = plan_of(expression)
        self.columns = _columns(expression)
        registry[name] = self

    @property
    def sql(self) -> str:
        return self.plan.sql

    def __repr__(self) -> str:
        return f"<Statement {self.name}>"


def statements() -> tuple[Statement, ...]:
    """Every statement of the modules imported so far, by name; a test prepares each on the migrated schema."""
    return tuple(_registry[name] for name in sorted(_registry))


def _columns(expression: ClauseElement) -> tuple[tuple[str, TypeEngine[Any]], ...]:
    if not isinstance(expression, ReturnsRows):
        return ()
    return tuple((column.key, column.type) for column in expression.exported_columns)
