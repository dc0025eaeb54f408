"""What a handler is given: its payload, and how it makes its effects happen once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from app.core.database import Statement
from app.core.queue.tables import processed_events
from app.core.resources import Resources
from app.tasks import store
from app.tasks.outcomes import LeaseLost

P = TypeVar("P")

INSERT_PROCESSED_EVENT = Statement(
    insert(processed_events)
    .values(event_id=bindparam("event_id"), handler_name=bindparam("handler_name"))
    .on_conflict_do_nothing()
    .returning(processed_events.c.event_id),
    name="insert_processed_event",
)


@dataclass(frozen=True)
class Work(Generic[P]):
    """One run of one task. A task runs at least once: `id` stays the same when it is run again.

    `attempt` counts from 1; `lease_seq` is greater with every run. `settle` ends the task inside the open transaction
    and raises `LeaseLost`; handlers use `finishing`.
    """

    id: UUID
    payload: P
    attempt: int
    lease_seq: int
    resources: Resources
    settle: Callable[[], Awaitable[None]]

    @property
    def idempotency_key(self) -> str:
        """For services outside that take one: it is the same in every run of this task."""
        return str(self.id)

    @asynccontextmanager
    async def finishing(self) -> AsyncIterator[None]:
        """A transaction in which the task ends too: its effects and its end are stored together, or neither is.

        What the handler does after the block is done by a task that has ended already. Raises `LeaseLost`.
        """
        async with self.resources.database.transaction():
            yield
            await self.settle()


@dataclass(frozen=True)
class Delivery(Work[P]):
    """One event on its way to one subscriber, whose name is `handler_name`; it may come more than once."""

    event_id: UUID
    aggregate_id: UUID
    handler_name: str

    @asynccontextmanager
    async def once(self) -> AsyncIterator[bool]:
        """A transaction that says whether this event is new to this subscriber; what is done in it counts once.

        False means that it was dealt with: leave at once. The memory of it is stored together with the effects. Raises
        `LeaseLost` at the end where another run has the event by now: the next one may have been let go on meanwhile.
        """
        async with self.resources.database.transaction():
            values = {"event_id": self.event_id, "handler_name": self.handler_name}
            yield await self.resources.database.fetch_one(INSERT_PROCESSED_EVENT, values) is not None
            if not await store.hold(self.resources.database, self.id, self.lease_seq):
                raise LeaseLost(LeaseLost.__doc__)
