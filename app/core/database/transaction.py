"""One use case's transaction: BEGIN to COMMIT, savepoints inside, and a connection that always comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog

from app.core.database.connection import Connection
from app.core.database.errors import TransactionNotInherited, TransactionRolledBack

if TYPE_CHECKING:  # a ring otherwise: a database makes transactions
    from app.core.database.database import Database, Hold

log = structlog.get_logger(__name__)

ISOLATION_LEVELS = ("read_committed", "repeatable_read", "serializable")

# A child task starts with a copy of its parent's context: that is how it knows of a transaction that is not its own.
_open: ContextVar[Transaction | None] = ContextVar("plinth_open_transaction", default=None)


class Transaction:
    """`async with db.transaction():` commits at the end and rolls back on any exception."""

    __slots__ = (
        "_after_commit",
        "_begin",
        "_connection",
        "_enclosing",
        "_hold",
        "_savepoint",
        "database",
        "is_open",
        "readonly",
        "task",
    )

    def __init__(self, database: Database, *, isolation: str | None, readonly: bool) -> None:
        self.database = database
        self.is_open = False
        self.task: asyncio.Task[Any] | None = None
        self.readonly = readonly
        self._begin = _begin(isolation, readonly=readonly) + database.transaction_settings
        self._enclosing: Transaction | None = None
        self._savepoint: str | None = None
        self._after_commit: list[Callable[[], None]] = []
        self._hold: Hold
        self._connection: Connection

    async def __aenter__(self) -> Self:
        self._hold = self.database.connection()
        self._connection = connection = await self._hold.__aenter__()
        depth = len(connection.transactions)
        try:
            self._refuse_options(depth)
        except ValueError:
            await self._hold.leave()  # nothing has begun that could be undone
            raise
        try:
            await self._start(connection, depth)
        except BaseException:
            await self._abandon()
            raise
        connection.transactions.append(self)
        self._declare_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await (self.commit() if kind is None else self.rollback())

    async def start(self) -> Self:
        """For a transaction that is not a block; end it with `commit` or `rollback`."""
        return await self.__aenter__()

    async def commit(self) -> None:
        """A COMMIT that fails leaves nothing behind; one that is cut off may have happened.

        Raises `TransactionRolledBack` where an error inside was swallowed: PostgreSQL answers such a COMMIT with a
        ROLLBACK and no error.
        """
        self._declare_closed()
        try:
            _confirm(await self._connection.control(f"RELEASE {self._savepoint}" if self._savepoint else "COMMIT"))
        except BaseException:
            await self._undo()
            raise
        finally:
            await self._hold.leave()
        self._tell_of_commit()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` called once all of this is stored, and never where it is not; it must return at once.

        What it raises is logged and goes no further: nobody may take a transaction for undone that is stored.
        Registered in a savepoint, it waits for the outermost COMMIT, and goes with the savepoint where that is undone.
        A COMMIT whose answer is lost counts as failed, although it may have happened.
        """
        self._after_commit.append(call)

    def _tell_of_commit(self) -> None:
        calls, self._after_commit = self._after_commit, []
        if self._savepoint and self._connection.transactions:
            self._connection.transactions[-1].inherit(calls)
            return
        for call in calls:
            _call(call)

    def inherit(self, calls: list[Callable[[], None]]) -> None:
        """What was registered in a savepoint that has been released into this one."""
        self._after_commit.extend(calls)

    async def rollback(self) -> None:
        self._declare_closed()
        await self._abandon()

    def _refuse_options(self, depth: int) -> None:
        if depth and self._begin != _begin(None, readonly=False) + self.database.transaction_settings:
            raise ValueError("an inner transaction is a savepoint: isolation and readonly belong to the outermost one")

    async def _start(self, connection: Connection, depth: int) -> None:
        self._savepoint = None
        self._after_commit = []
        if depth == 0:
            await connection.control(self._begin)
            connection.readonly = self.readonly
            return
        self._savepoint = f"level_{depth}"
        await connection.control(f"SAVEPOINT {self._savepoint}")

    async def _abandon(self) -> None:
        """A second cancellation in here drops the connection, but can't lose its slot."""
        try:
            await self._undo()
        finally:
            await self._hold.leave()

    async def _undo(self) -> None:
        sql = f"ROLLBACK TO {self._savepoint}" if self._savepoint else "ROLLBACK"
        await self.database.slots.settle(self._connection.raw, sql)

    def _declare_open(self) -> None:
        self.is_open = True
        self.task = asyncio.current_task()
        self._enclosing = _open.get()
        _open.set(self)

    def _declare_closed(self) -> None:
        if not self.is_open:
            raise RuntimeError("this transaction is not open")
        if self._connection.transactions[-1] is not self:
            raise RuntimeError("an inner transaction is still open")
        self._connection.transactions.pop()
        self.is_open = False
        if not self._connection.transactions:
            self._connection.readonly = False
        # Not `reset(token)`: an abandoned generator is closed in a context of its own, where the token is foreign.
        _open.set(self._enclosing)

    @property
    def enclosing(self) -> Transaction | None:
        return self._enclosing


def _begin(isolation: str | None, *, readonly: bool) -> str:
    if isolation is not None and isolation not in ISOLATION_LEVELS:
        raise ValueError(f"isolation is one of {', '.join(ISOLATION_LEVELS)}, not {isolation!r}")
    level = f" ISOLATION LEVEL {isolation.replace('_', ' ').upper()}" if isolation else ""
    return f"BEGIN{level}{' READ ONLY' if readonly else ''}"


def _call(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        log.exception("after_commit_failed")


def _confirm(done: str) -> None:
    if done == "ROLLBACK":
        raise TransactionRolledBack(" ".join((TransactionRolledBack.__doc__ or "").split()))


def refuse_inherited(database: Database) -> None:
    """Raise where this task's parent has a transaction open on the same database."""
    found = _open.get()
    while found is not None:
        if found.is_open and found.database is database and found.task is not asyncio.current_task():
            raise TransactionNotInherited(" ".join((TransactionNotInherited.__doc__ or "").split()))
        found = found.enclosing


def forget_open() -> Transaction | None:
    """Step out of any transaction; the result goes to `recall_open`."""
    found = _open.get()
    _open.set(None)
    return found


def recall_open(transaction: Transaction | None) -> None:
    _open.set(transaction)
