"""The `databases` API over a pool that loses no connection, whatever is cancelled, fails or stops answering."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, NoReturn

import databases

from app.core.database.connection import Connection, Query
from app.core.database.driver import close_pool, pool_of
from app.core.database.errors import NoTransaction
from app.core.database.opener import Opener
from app.core.database.options import address, pool_options, transaction_settings
from app.core.database.plan import Values
from app.core.database.quiet import quieten
from app.core.database.rows import Row, Value
from app.core.database.slots import Slots
from app.core.database.stats import DatabaseObserver, NoObserver, PoolStats
from app.core.database.transaction import Transaction, forget_open, recall_open, refuse_inherited
from app.core.settings.sections import Database as DatabaseSettings

DISCONNECT_TIMEOUT = 2.0  # seconds; by then the server has drained its requests


class Hold:
    """`async with db.connection()`: the task's connection, taken at the first entry and given back at the last exit."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    async def __aenter__(self) -> Connection:
        connection = self._connection = await self._database.enter()
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await self._database.leave(connection)


class Database(databases.Database):
    """Queries, transactions and their pool; features get it as `db`.

    Each task has its own connection, held for one query or for one `async with`. What the stock class does with
    them loses one for good whenever BEGIN or COMMIT fails or a transaction is cancelled.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        application_name: str = "plinth",
        observer: DatabaseObserver | None = None,
    ) -> None:
        """Nothing is opened before `connect()`."""
        quieten()
        self._opener = Opener()
        options = pool_options(settings, application_name=application_name, connect=self._opener.open)
        super().__init__(address(settings), **options)
        self.settings = settings
        self.application_name = application_name
        self.observer = observer or NoObserver()
        self.transaction_settings = transaction_settings(settings)
        self.slots: Slots
        self._held: dict[asyncio.Task[Any] | None, Connection] = {}
        self._on_trouble: list[Callable[[], None]] = []

    async def connect(self) -> None:
        try:
            await super().connect()
        except BaseException:
            await self._opener.close()
            raise
        self.slots = Slots(pool_of(self), timeout=self.settings.acquire_timeout, observer=self.observer)

    async def disconnect(self) -> None:
        """Wait a little for what still runs, then cut it off."""
        if self.is_connected:
            try:
                self.slots.close()
                await close_pool(self, within=DISCONNECT_TIMEOUT)
            finally:
                await self._opener.close()

    def connection(self) -> Hold:  # type: ignore[override]  # the stock Connection is what leaks
        return Hold(self)

    def transaction(  # type: ignore[override]  # the stock Transaction is what leaks
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> Transaction:
        """One use case; inside another transaction, a savepoint. `isolation` is one of ISOLATION_LEVELS."""
        return Transaction(self, isolation=isolation, readonly=readonly)

    def open_transaction(self) -> Transaction:
        """The innermost one of this task; raises `NoTransaction`, or `TransactionNotInherited` in a child task."""
        held = self._held.get(asyncio.current_task())
        if held is None or not held.transactions:
            refuse_inherited(self)
            raise NoTransaction(" ".join((NoTransaction.__doc__ or "").split()))
        return held.transactions[-1]

    @contextlib.asynccontextmanager
    async def detached(self) -> AsyncIterator[Connection]:
        """Work meant to be outside any open transaction, on a connection of its own.

        In a task that already holds a connection this takes a second one: never in many tasks at once.
        """
        task = asyncio.current_task()
        held, opened = self._held.pop(task, None), forget_open()
        try:
            async with self.connection() as connection:
                yield connection
        finally:
            recall_open(opened)
            if held is not None:
                self._held[task] = held

    async def fetch_all(  # type: ignore[override]  # every way of fetching gives the same row
        self, query: Query, values: Values | None = None
    ) -> list[Row]:
        async with Hold(self) as connection:
            return await connection.fetch_all(query, values)

    async def fetch_one(  # type: ignore[override]  # every way of fetching gives the same row
        self, query: Query, values: Values | None = None
    ) -> Row | None:
        async with Hold(self) as connection:
            return await connection.fetch_one(query, values)

    async def fetch_existing(self, query: Query, values: Values | None = None) -> Row:
        """Like `fetch_one`, for a row that must be there: raises `RowNotFound`, which the edge answers with 404."""
        async with Hold(self) as connection:
            return await connection.fetch_existing(query, values)

    async def fetch_val(self, query: Query, values: Values | None = None, column: int | str = 0) -> Value:
        async with Hold(self) as connection:
            return await connection.fetch_val(query, values, column)

    async def execute(self, query: Query, values: Values | None = None) -> Value:
        async with Hold(self) as connection:
            return await connection.execute(query, values)

    async def execute_many(self, query: Query, values: Iterable[Values]) -> None:
        async with Hold(self) as connection:
            await connection.execute_many(query, values)

    async def iterate(  # type: ignore[override]  # every way of fetching gives the same row
        self, query: Query, values: Values | None = None
    ) -> AsyncGenerator[Row, None]:
        """Rows one by one, through a cursor: in the open transaction, else in a read-only one of its own."""
        held = self._held.get(asyncio.current_task())
        if held is None or not held.transactions:
            refuse_inherited(self)
            rows = self._stream(query, values)
        else:
            rows = held.iterate(query, values)
        async with contextlib.aclosing(rows):
            async for row in rows:
                yield row

    async def _stream(self, query: Query, values: Values | None) -> AsyncGenerator[Row, None]:
        """On a connection that the task itself does not see.

        Between two rows the task may do other work, and a generator that is left early is closed by another task.
        """
        raw = await self.slots.acquire()
        try:
            connection = Connection(self, raw, None)
            connection.readonly = True
            await connection.control(f"BEGIN READ ONLY{self.transaction_settings}")
            async for row in connection.iterate(query, values):
                yield row
        finally:
            await self.slots.finish(raw, "COMMIT")

    def force_rollback(self) -> NoReturn:
        """Not offered: one connection shared by all tasks fails as soon as two of them use it."""
        raise NotImplementedError("give each test a database of its own instead")

    def stats(self) -> PoolStats:
        return self.slots.stats(opened=self._opener.opened)

    def on_trouble(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever the database did not answer; it must return at once."""
        self._on_trouble.append(call)

    def troubled(self) -> None:
        for call in self._on_trouble:
            call()

    async def enter(self) -> Connection:
        task = asyncio.current_task()
        connection = self._held.get(task)
        if connection is None:
            refuse_inherited(self)
            # No await between the two: whatever is taken is known, so it will be given back.
            connection = Connection(self, await self.slots.acquire(), task)
            self._held[task] = connection
        connection.users += 1
        return connection

    async def leave(self, connection: Connection) -> None:
        connection.users -= 1
        if connection.users == 0:
            if self._held.get(connection.owner) is connection:
                del self._held[connection.owner]
            await self.slots.release(connection.raw)
