"""A connection while a task holds it: runs queries, and turns a lost server into one kind of error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from sqlalchemy.sql import ClauseElement

from app.core.database.driver import RawConnection, drop, is_gone, mark
from app.core.database.errors import RowNotFound
from app.core.database.plan import Plan, Values, bound, plan_of_many
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

    __slots__ = ("database", "owner", "raw", "readonly", "transactions", "users")

    def __init__(self, database: Database, raw: RawConnection, owner: asyncio.Task[Any] | None) -> None:
        self.database = database
        self.owner = owner
        self.users = 0
        self.transactions: list[Transaction] = []
        self.raw = raw
        self.readonly = False  # on purpose, by an open transaction

    @property
    def raw_connection(self) -> RawConnection:
        """The connection of asyncpg, for what has no wrapper here (COPY, LISTEN); don't keep it."""
        mark(self.raw)
        return self.raw

    async def fetch_all(self, query: Query, values: Values | None = None) -> list[Row]:
        name, sql, arguments = self._prepare(query, values)
        rows: list[Row] = await self._run(name, self.raw.fetch, sql, arguments)
        return rows

    async def fetch_one(self, query: Query, values: Values | None = None) -> Row | None:
        name, sql, arguments = self._prepare(query, values)
        row: Row | None = await self._run(name, self.raw.fetchrow, sql, arguments)
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
        name, sql, arguments = self._prepare(query, values)
        return await self._run(name, self.raw.fetchval, sql, arguments)

    async def execute_many(self, query: Query, values: Iterable[Values]) -> None:
        """Run it once for each of `values`, all or nothing, in as few round trips as they fit in."""
        rows = list(values)
        if rows:
            plan = query.plan if isinstance(query, Statement) else plan_of_many(query, rows[0])
            self._mark(plan)
            await self._run(_name(query), self.raw.executemany, plan.sql, [[plan.bind(row) for row in rows]])

    async def iterate(self, query: Query, values: Values | None = None) -> AsyncGenerator[Row, None]:
        """Rows through a server-side cursor; needs an open transaction (`Database.iterate` opens one)."""
        name, sql, arguments = self._prepare(query, values)
        started = time.perf_counter()
        try:
            async for row in self.raw.cursor(sql, *arguments):
                yield row
        except Exception as error:
            if (failed := self._failed(name, error, started)) is error:
                raise
            raise failed from error
        self.database.observer.queried(name, "ok", time.perf_counter() - started)

    def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> Transaction:
        return self.database.transaction(isolation=isolation, readonly=readonly)

    async def control(self, sql: str) -> str:
        """BEGIN, COMMIT, SAVEPOINT: no parameters; gives what the server says it has done."""
        done: str = await self._run(sql.split(maxsplit=1)[0].lower(), self.raw.execute, sql, [])
        return done

    def _prepare(self, query: Query, values: Values | None) -> tuple[str, str, list[object]]:
        if isinstance(query, Statement):
            plan, arguments = query.plan, query.plan.bind(NOTHING if values is None else values)
        else:
            plan, arguments = bound(query, values)
        self._mark(plan)
        return _name(query), plan.sql, arguments

    def _mark(self, plan: Plan) -> None:
        if plan.leaves_traces:
            mark(self.raw)

    async def _run(self, name: str, method: Callable[..., Awaitable[Value]], sql: str, arguments: list[Value]) -> Value:
        started = time.perf_counter()
        try:
            # Given per query, it covers preparing and running together; asyncpg's own default starts anew for each.
            result = await method(sql, *arguments, timeout=self.database.settings.command_timeout)
        except Exception as error:
            if (failed := self._failed(name, error, started)) is error:
                raise
            raise failed from error
        except asyncio.CancelledError:
            self.database.observer.queried(name, "cancelled", time.perf_counter() - started)
            raise
        self.database.observer.queried(name, "ok", time.perf_counter() - started)
        return result

    def _failed(self, name: str, error: Exception, started: float) -> Exception:
        """The error to raise: the driver's own where the server has answered."""
        self.database.observer.queried(name, _outcome(error), time.perf_counter() - started)
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and not self.readonly:
            # What was the primary has become a standby; a new connection may find the new primary.
            drop(self.raw)
            error = ConnectionResetError("the server is read-only")
        if found := trouble(error, gone=is_gone(self.raw)):
            self.database.troubled()
            return found
        _log_failure(name, error)
        return error


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
