"""What an operator may do to tasks, from the command line or over the admin API; for events, `app.tasks.outbox`.

Nothing here runs inside a transaction of its caller: each batch is committed by itself, keys are promoted after that,
and workers are told last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import structlog

from app.core.database import ConnectionTrouble, Database
from app.core.errors import AppError, Conflict, NotFound
from app.core.queue import CHANNEL
from app.core.queue.waker import NOTIFY
from app.tasks import store
from app.tasks.store import operations, operations_lists
from app.tasks.store.operations_lists import NEWEST, TaskDetails, TaskLine, TypeCount

__all__ = [
    "FINISHED",
    "NEWEST",
    "NOT_DONE",
    "STATUSES",
    "FinishedStatus",
    "KeyIsTaken",
    "NoSuchTask",
    "NotRetryable",
    "Outcome",
    "TaskDetails",
    "TaskHasEnded",
    "TaskLine",
    "TaskStatus",
    "TypeCount",
    "cancel_tasks",
    "cancel_type",
    "count_purgeable",
    "count_tasks",
    "database_time",
    "list_tasks",
    "purge_tasks",
    "retry_dead",
    "retry_tasks",
    "settle",
    "show_task",
]

log = structlog.get_logger(__name__)

TaskStatus = Literal["waiting", "pending", "running", "done", "dead", "cancelled"]
FinishedStatus = Literal["done", "dead", "cancelled"]
STATUSES: tuple[TaskStatus, ...] = ("waiting", "pending", "running", "done", "dead", "cancelled")
FINISHED: tuple[FinishedStatus, ...] = ("done", "dead", "cancelled")
NOT_DONE: tuple[TaskStatus, ...] = ("waiting", "pending", "running", "dead")

BATCH = 500  # rows of one statement: short locks, and a database that others can use meanwhile
PURGED = 5000  # nobody else wants these
FIRST = UUID(int=0)


class NoSuchTask(NotFound):
    """There is no task with this id."""


class NotRetryable(Conflict):
    """Only a dead or cancelled task can be retried."""


class KeyIsTaken(Conflict):
    """Another task with the same dedupe_key is waiting or running; it stands for this one too."""


class TaskHasEnded(Conflict):
    """This task has ended already; only one that waits or runs can be cancelled."""


@dataclass
class Outcome:
    """What became of the tasks that were named: in `done`, or refused with the reason."""

    done: list[UUID] = field(default_factory=list)
    refused: dict[UUID, AppError] = field(default_factory=dict)


async def list_tasks(
    db: Database,
    *,
    statuses: Sequence[str] = NOT_DONE,
    task_type: str | None = None,
    before: UUID = NEWEST,
    limit: int = 50,
) -> list[TaskLine]:
    """Newest first, those older than `before`; without payloads."""
    return await operations_lists.select_lines(db, statuses=statuses, task_type=task_type, before=before, limit=limit)


async def show_task(db: Database, task_id: UUID) -> TaskDetails:
    """Raises `NoSuchTask`."""
    found = await operations_lists.select_details(db, task_id)
    if found is None:
        raise NoSuchTask
    return found


async def count_tasks(db: Database) -> list[TypeCount]:
    return await operations_lists.count_by_type(db)


async def retry_tasks(db: Database, ids: Sequence[UUID]) -> Outcome:
    """Have dead and cancelled ones run again, as if they had just been asked for."""
    outcome = Outcome()
    for batch in _batches(ids):
        retried = await operations.retry(db, batch)
        await settle(db, [each.order_key for each in retried], ["tasks"] if retried else [])
        outcome.done += [each.id for each in retried]
        rest = set(batch) - {each.id for each in retried}
        statuses = await operations.select_statuses(db, sorted(rest)) if rest else {}
        outcome.refused |= {each: _why_not_retried(statuses.get(each)) for each in sorted(rest)}
    return outcome


async def retry_dead(db: Database, *, task_type: str | None = None) -> Outcome:
    """The same for all dead ones, or those of one type."""
    outcome, after = Outcome(), FIRST
    while ids := await operations.select_dead_ids(db, task_type=task_type, after=after, limit=BATCH):
        part = await retry_tasks(db, ids)
        outcome.done += part.done
        outcome.refused |= part.refused
        after = ids[-1]
    return outcome


async def cancel_tasks(db: Database, ids: Sequence[UUID]) -> Outcome:
    """End them: those that wait at once, those that run as soon as their worker hears of it.

    Whatever such a worker still does, it can't settle the task any more.
    """
    outcome = Outcome()
    for batch in _batches(ids):
        cancelled = await operations.cancel(db, batch)
        for each in sorted(set(batch) - {each.id for each in cancelled}):
            cancelled += await operations.cancel_one(db, each)
        await settle(
            db, [each.order_key for each in cancelled], [f"cancel:{each.id}" for each in cancelled if each.running]
        )
        outcome.done += [each.id for each in cancelled]
        rest = set(batch) - {each.id for each in cancelled}
        statuses = await operations.select_statuses(db, sorted(rest)) if rest else {}
        outcome.refused |= {each: TaskHasEnded() if each in statuses else NoSuchTask() for each in sorted(rest)}
    return outcome


async def cancel_type(db: Database, task_type: str) -> Outcome:
    """The same for all of one type that wait or run."""
    outcome, after = Outcome(), FIRST
    while ids := await operations.select_live_ids(db, task_type=task_type, after=after, limit=BATCH):
        part = await cancel_tasks(db, ids)  # one that has ended meanwhile was not asked for by its name
        outcome.done += part.done
        after = ids[-1]
    return outcome


async def database_time(db: Database) -> datetime:
    """The clock by which everything here is dated."""
    return await operations.select_now(db)


async def count_purgeable(
    db: Database, *, status: FinishedStatus, before: datetime, task_type: str | None = None
) -> int:
    """How many `purge` would delete."""
    return await operations.count_purgeable(db, status=status, before=before, task_type=task_type)


async def purge_tasks(
    db: Database, *, status: FinishedStatus, before: datetime, task_type: str | None = None, most: int | None = None
) -> int:
    """Delete what ended before `before`, at most `most`; gives how many there were."""
    deleted = 0
    while most is None or deleted < most:
        limit = PURGED if most is None else min(PURGED, most - deleted)
        found = await operations.purge(db, status=status, before=before, task_type=task_type, limit=limit)
        deleted += found
        if found < limit:
            break
    return deleted


def _why_not_retried(status: str | None) -> AppError:
    if status is None:
        return NoSuchTask()
    if status in {"dead", "cancelled"}:
        return KeyIsTaken()
    return NotRetryable(f"{NotRetryable.__doc__} This one is {status}.")


async def settle(db: Database, order_keys: Sequence[str | None], messages: Sequence[str]) -> None:
    """After the commit: let the next ones of these keys run, and tell the workers; a hint may be lost."""
    promoted = await store.promote(db, sorted({each for each in order_keys if each is not None}))
    told = [*messages, *(["tasks"] if promoted and "tasks" not in messages else [])]
    if not told:
        return
    try:
        await db.execute(NOTIFY, {"channel": CHANNEL, "messages": told})
    except (ConnectionTrouble, asyncpg.PostgresError) as error:
        log.debug("wake_failed", reason=str(error))


def _batches(ids: Sequence[UUID]) -> list[list[UUID]]:
    unique = list(dict.fromkeys(ids))
    return [unique[start : start + BATCH] for start in range(0, len(unique), BATCH)]
