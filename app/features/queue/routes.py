"""`/api/v1/tasks`, `/outbox` and `/queue`: what waits, runs and failed, for administrators, who steer it here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, cast
from uuid import UUID

import structlog
from msgspec import Meta
from quart import Blueprint, current_app

from app.core.queue.declared import LONGEST, NAME
from app.tasks import operations, outbox
from app.tasks.operations import (
    NEWEST,
    NOT_DONE,
    FinishedStatus,
    KeyIsTaken,
    NoSuchTask,
    NotRetryable,
    TaskDetails,
    TaskHasEnded,
    TaskLine,
    TaskStatus,
    TypeCount,
)
from app.tasks.outbox import (
    EventDetails,
    EventLine,
    NoSuchEvent,
    NoSuchSubscriber,
    NotHandedOn,
    NothingToDeliver,
    OutboxState,
    Redelivered,
)
from app.tasks.registry import REGISTRY, Registry
from app.web import ADMIN, Page, PageQuery, current_caller, decode_cursor, endpoint, page_of, resources

log = structlog.get_logger(__name__)

routes = Blueprint("queue", __name__, url_prefix="/api/v1")

# What is done here commits in batches and may be repeated; a stored answer would hold one transaction around all.
STEERING = ADMIN.but(permission="tasks:write", idempotency=False)
WATCHING = ADMIN.but(permission="tasks:read")
MOST_PURGED = 10_000  # in one request, which has to end in time
YEAR = 366 * 86_400

Name = Annotated[str, Meta(max_length=LONGEST, pattern=f"^{NAME.pattern}$")]


@dataclass(frozen=True)
class TaskQuery(PageQuery):
    """Which tasks; without a status, all that are not done."""

    status: TaskStatus | None = None
    type: Name | None = None


@dataclass(frozen=True)
class PurgeQuery:
    """Which finished tasks: those that ended `older_than` seconds ago."""

    status: FinishedStatus
    type: Name | None = None
    older_than: Annotated[float, Meta(ge=0, le=100 * YEAR, description="Seconds since they ended.")] = 0.0


@dataclass(frozen=True)
class EventQuery(PageQuery):
    """Which events."""

    type: Name | None = None
    unprocessed: bool = False


@dataclass(frozen=True)
class RedeliveryQuery:
    """To whom; without a name, to all who subscribe."""

    handler: Name | None = None


@dataclass(frozen=True)
class Purged:
    """How many were deleted; `more` where one request was not enough."""

    deleted: int
    more: bool


@dataclass(frozen=True)
class Redelivery:
    """The tasks that deliver the event once more."""

    tasks: list[Redelivered]


@dataclass(frozen=True)
class QueueSummary:
    """How many tasks of each type are in each state, and how far the relay is behind."""

    types: list[TypeCount]
    outbox: OutboxState


@routes.get("/queue")
@endpoint(WATCHING, answers={200: QueueSummary})
async def summary() -> QueueSummary:
    """Count tasks and events.

    Those that are done are not counted here; `/metrics` has them.
    """
    db = resources().database
    return QueueSummary(await operations.count_tasks(db), await outbox.outbox_state(db))


@routes.get("/tasks")
@endpoint(WATCHING, answers={200: Page[TaskLine]})
async def list_tasks(query: TaskQuery) -> Page[TaskLine]:
    """List tasks, newest first.

    Without their payloads, which may hold personal data, and with the first line of their error.
    """
    found = await operations.list_tasks(
        resources().database,
        statuses=(query.status,) if query.status else NOT_DONE,
        task_type=query.type,
        before=_behind(query),
        limit=query.limit + 1,
    )
    return page_of(found, query.limit, key=lambda task: (task.id,))


@routes.delete("/tasks")
@endpoint(STEERING, answers={200: Purged})
async def purge(query: PurgeQuery) -> Purged:
    """Delete finished tasks for good.

    At most 10,000 in one request; `more` says whether to ask again.
    """
    db = resources().database
    before = await operations.database_time(db) - timedelta(seconds=query.older_than)
    deleted = await operations.purge_tasks(
        db, status=query.status, before=before, task_type=query.type, most=MOST_PURGED
    )
    log.info("tasks_purged", status=query.status, tasks=deleted, by=current_caller().id)
    return Purged(deleted, deleted == MOST_PURGED)


@routes.get("/tasks/<uuid:task_id>")
@endpoint(WATCHING, answers={200: TaskDetails}, errors=(NoSuchTask,))
async def show_task(task_id: UUID) -> TaskDetails:
    """Show everything about one task, with its payload and its error."""
    return await operations.show_task(resources().database, task_id)


@routes.post("/tasks/<uuid:task_id>/retry")
@endpoint(STEERING, answers={200: TaskDetails}, errors=(NoSuchTask, NotRetryable, KeyIsTaken))
async def retry(task_id: UUID) -> TaskDetails:
    """Have a dead or cancelled task run again.

    Its failures and crashes are counted from 0 again.
    """
    db = resources().database
    outcome = await operations.retry_tasks(db, [task_id])
    if error := outcome.refused.get(task_id):
        raise error
    log.info("task_retried", task_id=str(task_id), by=current_caller().id)
    return await operations.show_task(db, task_id)


@routes.post("/tasks/<uuid:task_id>/cancel")
@endpoint(STEERING, answers={200: TaskDetails}, errors=(NoSuchTask, TaskHasEnded))
async def cancel(task_id: UUID) -> TaskDetails:
    """End a task that waits or runs.

    One that runs is ended as soon as its worker hears of it; that worker can't settle it any more.
    """
    db = resources().database
    outcome = await operations.cancel_tasks(db, [task_id])
    if error := outcome.refused.get(task_id):
        raise error
    log.info("task_cancelled", task_id=str(task_id), by=current_caller().id)
    return await operations.show_task(db, task_id)


@routes.get("/outbox")
@endpoint(WATCHING, answers={200: Page[EventLine]})
async def list_events(query: EventQuery) -> Page[EventLine]:
    """List events, newest first, without their payloads."""
    found = await outbox.list_events(
        resources().database,
        event_type=query.type,
        unprocessed=query.unprocessed,
        before=_behind(query),
        limit=query.limit + 1,
    )
    return page_of(found, query.limit, key=lambda event: (event.id,))


@routes.get("/outbox/<uuid:event_id>")
@endpoint(WATCHING, answers={200: EventDetails}, errors=(NoSuchEvent,))
async def show_event(event_id: UUID) -> EventDetails:
    """Show one event, the tasks that deliver it, and which subscribers remember it."""
    return await outbox.show_event(resources().database, event_id)


@routes.post("/outbox/<uuid:event_id>/retry")
@endpoint(STEERING, answers={200: Redelivery}, errors=(NoSuchEvent, NoSuchSubscriber, NotHandedOn, NothingToDeliver))
async def redeliver(event_id: UUID, query: RedeliveryQuery) -> Redelivery:
    """Hand an event on once more.

    Subscribers that remember it, because they deal with it `once()`, change nothing.
    """
    registry = cast(Registry, current_app.extensions[REGISTRY])
    made = await outbox.redeliver(resources().database, registry, event_id, handler=query.handler)
    log.info("event_redelivered", event_id=str(event_id), tasks=len(made), by=current_caller().id)
    return Redelivery(made)


def _behind(query: PageQuery) -> UUID:
    if query.cursor is None:
        return NEWEST
    (found,) = decode_cursor(query.cursor, (UUID,))
    return cast(UUID, found)
