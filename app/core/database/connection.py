"""A connection while a task holds it: runs queries, and turns a lost server into one kind of error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.sql import ClauseElement

from app.core.database.driver import RawConnection, is_gone
from app.core.database.errors import RowNotFound
from app.core.database.plan import Values, bound
from app.core.database.rows import Row, Value
from app.core.database.statement import Statement
from app.core.database.trouble import trouble

if TYPE_CHECKING:  # a ring otherwise: a database makes connections
    from app.core.database.database import Database
    from app.core.database.transaction import Transaction

log = structlog.get_logger(__name__)

Query = Statement | ClauseElement | str
NOTHING: Values = {}


class Connection:
    """Valid inside its `async with` only, and for one query at a time."""

    __slots__ = ("_raw", "database", "owner", "transactions", "users")

    def __init__(self, database: Database, raw: RawConnection, owner: asyncio.Task[Any] | None) -> None:
        self.database = database
        self.owner = owner
        self.users = 0
        self.transactions: list[Transaction] = []
        self._raw = raw

    @property
    def raw_connection(self) -> RawConnection:
        """The connection of asyncpg, for what has no wrapper here (COPY, LISTEN); don't keep it."""
        return self._raw

    async def fetch_all(self, query: Query, values: Values | None = None) -> list[Row]:
        name, sql, arguments = _prepare(query, values)
        rows: list[Row] = await self._run(name, self._raw.fetch, sql, arguments)
        return rows

    async def fetch_one(self, query: Query, values: Values | None = None) -> Row | None:
        name, sql, arguments = _prepare(query, values)
        row: Row | None = await self._run(name, self._raw.fetchrow, sql, arguments)
        return row

    async def fetch_existing(self, query: Query, values: Values | None = None) -> Row:
        """Like `fetch_one`, for a row that must be there: raises `RowNotFound`."""
        row = await self.fetch_one(query, values)
        if row is None:
            raise RowNotFound(_name(query))
        return row

    async def fetch_val(self, query: Query, values: Values | None = None, column: int | str = 0) -> Value:
        """One column of the first row; None where there is no row."""
        row = await self.fetch_one(query, values)
        return None if row is None else row[column]

    async def execute(self, query: Query, values: Values | None = None) -> Value:
        """Run it; gives the first column of the first row, if there is one (`RETURNING`)."""
        name, sql, arguments = _prepare(query, values)
        return await self._run(name, self._raw.fetchval, sql, arguments)

    async def execute_many(self, query: Query, values: Iterable[Values]) -> None:
        """Run it once for each of `values`, all or nothing, in as few round trips as they fit in."""
        rows = [_prepare(query, each) for each in values]
        if rows:
            name, sql, _ = rows[0]
            await self._run(name, self._raw.executemany, sql, [[arguments for _, _, arguments in rows]])

    async def iterate(self, query: Query, values: Values | None = None) -> AsyncIterator[Row]:
        """Rows through a server-side cursor; needs an open transaction (`Database.iterate` opens one)."""
        _, sql, arguments = _prepare(query, values)
        async for row in self._raw.cursor(sql, *arguments):
            yield row

    def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> Transaction:
        return self.database.transaction(isolation=isolation, readonly=readonly)

    async def control(self, sql: str) -> None:
        """BEGIN, COMMIT, SAVEPOINT: no parameters, no result."""
        await self._run(sql.split(maxsplit=1)[0].lower(), self._raw.execute, sql, [])

    async def _run(self, name: str, method: Callable[..., Awaitable[Value]], sql: str, arguments: list[Value]) -> Value:
        started = time.perf_counter()
        try:
            result = await method(sql, *arguments)
        except Exception as error:
            self.database.observer.queried(name, _outcome(error), time.perf_counter() - started)
            if (found := trouble(error, gone=is_gone(self._raw))) is None:
                _log_failure(name, error)
                raise
            self.database.troubled()
            raise found from error
        self.database.observer.queried(name, "ok", time.perf_counter() - started)
        return result


def _prepare(query: Query, values: Values | None) -> tuple[str, str, list[object]]:
    if isinstance(query, Statement):
        return query.name, query.plan.sql, query.plan.bind(NOTHING if values is None else values)
    sql, arguments = bound(query, values)
    return _name(query), sql, arguments


def _name(query: Query) -> str:
    """Safe to log: never the SQL, which may hold a literal."""
    if isinstance(query, Statement):
        return query.name
    return "text" if isinstance(query, str) else type(query).__name__.lower()


def _outcome(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or type(error).__name__


def _log_failure(name: str, error: Exception) -> None:
    """The server's sentence names columns and types; its DETAIL holds values and stays out."""
    constraint = getattr(error, "constraint_name", None)
    level = log.info if constraint else log.warning
    level("query_failed", statement=name, error=type(error).__name__, outcome=_outcome(error), constraint=constraint)
