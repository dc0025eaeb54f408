"""Enqueue and publish, in the caller's transaction: what is asked for exists exactly when that transaction commits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import structlog

from app.core.beside import beside
from app.core.database import Database
from app.core.ids import new_id
from app.core.queue.declared import Event, Priority, Task
from app.core.queue.statements import INSERT_EVENT, INSERT_TASKS
from app.core.queue.waker import Waker
from app.core.tracing import inject

if TYPE_CHECKING:  # imported where traces are on, and nowhere else
    from app.core.tracing.tracing import Tracing

P = TypeVar("P")

TASKS, OUTBOX = "tasks", "outbox"  # what workers are told of
LONGEST_KEY = 500

# Of the log's context, what follows the work: the line of a task leads to the request that asked for it.
FOLLOWING = ("request_id", "connection_id")


class Queue:
    """`resources().queue`; every method needs an open transaction of this task, or raises.

    Outside of one it raises `NoTransaction`: the work would be asked for although what it belongs to fails later, or
    be lost although that happened. In a child task of the one that opened it, `TransactionNotInherited`.
    """

    def __init__(self, database: Database, waker: Waker, tracing: Tracing | None = None) -> None:
        self._database = database
        self._waker = waker
        self._tracing = tracing

    async def enqueue(
        self,
        task: Task[P],
        payload: P,
        *,
        delay: float = 0.0,
        run_at: datetime | None = None,
        dedupe_key: str | None = None,
        priority: Priority | None = None,
    ) -> UUID | None:
        """Have it run after the commit, `delay` seconds later or at `run_at`; gives its id.

        None where a task with this `dedupe_key` is waiting or running: it stands for this one too.
        """
        _check(dedupe_key, run_at, delay)
        asked = [(new_id(), task.encode(payload), run_at, delay, dedupe_key)]
        ids = await self._insert(task, asked, priority)
        return ids[0] if ids else None

    async def enqueue_many(
        self, task: Task[P], payloads: Iterable[P], *, delay: float = 0.0, priority: Priority | None = None
    ) -> list[UUID]:
        """Many at once, in one statement; gives their ids, in order."""
        _check(None, None, delay)
        asked = [(new_id(), task.encode(payload), None, delay, None) for payload in payloads]
        return await self._insert(task, asked, priority) if asked else []

    async def publish(self, event: Event[P], aggregate_id: UUID, payload: P) -> UUID:
        """Tell all who subscribe, after the commit, in the order of this aggregate's commits; gives the event's id.

        It locks the aggregate's events until the commit. Two transactions that publish for the same two aggregates in
        opposite orders wait for each other, and PostgreSQL ends one of them: keep to one order.
        """
        transaction = self._database.open_transaction()
        event_id = new_id()
        values = {
            "id": event_id,
            "aggregate_type": event.aggregate,
            "aggregate_id": aggregate_id,
            "event_type": event.name,
            "payload": event.encode(payload),
        }
        with self._sending("publish", event.name):
            await self._database.execute(INSERT_EVENT, {**values, "context": _context()})
        transaction.after_commit(lambda: self._waker.wake(OUTBOX))
        return event_id

    def wake(self, message: str) -> None:
        """Have the workers told; for those who change a task in another way."""
        self._waker.wake(message)

    async def _insert(self, task: Task[Any], asked: list[tuple[Any, ...]], priority: Priority | None) -> list[UUID]:
        transaction = self._database.open_transaction()
        ids, payloads, run_ats, delays, dedupe_keys = map(list, zip(*asked, strict=True))
        values = {
            "ids": ids,
            "task_type": task.name,
            "payloads": payloads,
            "priority": int(task.priority if priority is None else priority),
            "max_retries": task.retries,
            "run_ats": run_ats,
            "delays": delays,
            "dedupe_keys": dedupe_keys,
        }
        with self._sending("enqueue", task.name, len(asked)):
            rows = await self._database.fetch_all(INSERT_TASKS, {**values, "context": _context()})
        if rows:
            transaction.after_commit(lambda: self._waker.wake(TASKS))
        return [row["id"] for row in rows]

    def _sending(self, operation: str, name: str, messages: int = 1) -> AbstractContextManager[None]:
        return self._tracing.sending(operation, name, messages) if self._tracing else nullcontext()


@asynccontextmanager
async def open_queue(database: Database, tracing: Tracing | None = None) -> AsyncIterator[Queue]:
    waker = Waker(database)
    async with beside(waker.run(), name="waker"):
        yield Queue(database, waker, tracing)


def _context() -> dict[str, str]:
    """What the work's log lines and traces are to be found by."""
    bound = structlog.contextvars.get_contextvars()
    return {name: bound[name] for name in FOLLOWING if name in bound} | inject()


def _check(dedupe_key: str | None, run_at: datetime | None, delay: float) -> None:
    if dedupe_key is not None and not 0 < len(dedupe_key) <= LONGEST_KEY:
        raise ValueError(f"a dedupe_key has 1 to {LONGEST_KEY} characters, not {len(dedupe_key)}")
    if run_at is not None and run_at.tzinfo is None:
        raise ValueError("run_at has no zone, so that it means another moment on each machine")
    if delay < 0 or (run_at is not None and delay):
        raise ValueError("delay is in seconds from 0, and stands alone: give it or run_at")
