"""What an operator reads of tasks: lists without payloads, one task with everything, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER

from app.core.database import Database, Statement

Moment = Annotated[datetime, Meta(tz=True)]
NEWEST = UUID(int=2**128 - 1)  # behind every id: where a list begins

# Newest first, by id, which begins with its time; each part reads an index backwards, or the few that ended badly.
# Of an error its first line only: what follows is long, and `show` has it.
SELECT_LINES = Statement(
    text("""
SELECT id, task_type, status, priority, retry_count, max_retries, crash_count, run_at, created_at, finished_at,
       locked_by, left(split_part(last_error, E'\\n', 1), 500) AS error
FROM (
    (SELECT id, task_type, status, priority, retry_count, max_retries, crash_count, run_at, created_at,
            CAST(NULL AS timestamptz) AS finished_at, locked_by, last_error
     FROM tasks
     WHERE id < :before AND status = ANY (CAST(:statuses AS text[]))
       AND (CAST(:task_type AS text) IS NULL OR task_type = :task_type)
     ORDER BY id DESC LIMIT :limit)
    UNION ALL
    (SELECT id, task_type, status, priority, retry_count, max_retries, crash_count, run_at, created_at, finished_at,
            locked_by, last_error
     FROM finished_tasks
     WHERE id < :before AND status <> 'done' AND status = ANY (CAST(:statuses AS text[]))
       AND (CAST(:task_type AS text) IS NULL OR task_type = :task_type)
     ORDER BY id DESC LIMIT :limit)
    UNION ALL
    (SELECT id, task_type, status, priority, retry_count, max_retries, crash_count, run_at, created_at, finished_at,
            locked_by, last_error
     FROM finished_tasks
     WHERE id < :before AND status = 'done' AND 'done' = ANY (CAST(:statuses AS text[]))
       AND (CAST(:task_type AS text) IS NULL OR task_type = :task_type)
     ORDER BY id DESC LIMIT :limit)
) AS found
ORDER BY id DESC LIMIT :limit
""").bindparams(
        bindparam("before", type_=Uuid),
        bindparam("statuses", type_=ARRAY(Text)),
        bindparam("task_type", type_=Text),
        bindparam("limit", type_=INTEGER),
    ),
    name="select_task_lines",
)

SELECT_DETAILS = Statement(
    text("""
SELECT id, task_type, status, priority, retry_count, max_retries, crash_count, run_at, created_at,
       CAST(NULL AS timestamptz) AS finished_at, locked_by, locked_until, lease_seq, dedupe_key, order_key,
       order_position, payload, context, last_error
FROM tasks WHERE id = :id
UNION ALL
SELECT id, task_type, status, priority, retry_count, max_retries, crash_count, run_at, created_at,
       finished_at, locked_by, NULL, lease_seq, dedupe_key, order_key,
       order_position, payload, context, last_error
FROM finished_tasks WHERE id = :id
""").bindparams(bindparam("id", type_=Uuid)),
    name="select_task_details",
)

# Not the done ones: there are millions of them, nobody has to do anything about one, and metrics count them.
COUNT_BY_TYPE = Statement(
    text("""
SELECT task_type, count(*) FILTER (WHERE status = 'waiting') AS waiting,
       count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'running') AS running,
       count(*) FILTER (WHERE status = 'dead') AS dead, count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
       min(run_at) FILTER (WHERE status = 'pending' AND run_at <= clock_timestamp()) AS oldest_due_at
FROM (
    SELECT task_type, status, run_at FROM tasks
    UNION ALL SELECT task_type, status, run_at FROM finished_tasks WHERE status <> 'done'
) AS counted
GROUP BY task_type ORDER BY task_type
"""),
    name="count_tasks_by_type",
)


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One task as a list shows it; `locked_by` is the worker that has it or had it last."""

    id: UUID
    task_type: str
    status: str
    priority: int
    retry_count: int
    max_retries: int
    crash_count: int
    run_at: Moment
    created_at: Moment
    finished_at: Moment | None
    locked_by: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class TaskDetails:
    """Everything about one task; the payload may hold personal data."""

    id: UUID
    task_type: str
    status: str
    priority: int
    retry_count: int
    max_retries: int
    crash_count: int
    run_at: Moment
    created_at: Moment
    finished_at: Moment | None
    locked_by: str | None
    locked_until: Moment | None
    lease_seq: int
    dedupe_key: str | None
    order_key: str | None
    order_position: int | None
    payload: Any
    context: dict[str, Any]
    last_error: str | None


@dataclass(frozen=True, slots=True)
class TypeCount:
    """How many of one type are in each state; `oldest_due_at` is since when the oldest one could have been run."""

    task_type: str
    waiting: int
    pending: int
    running: int
    dead: int
    cancelled: int
    oldest_due_at: Moment | None


async def select_lines(
    db: Database, *, statuses: Sequence[str], task_type: str | None, before: UUID, limit: int
) -> list[TaskLine]:
    """Newest first, those older than `before`."""
    values = {"statuses": list(statuses), "task_type": task_type, "before": before, "limit": limit}
    return [TaskLine(*row) for row in await db.fetch_all(SELECT_LINES, values)]


async def select_details(db: Database, task_id: UUID) -> TaskDetails | None:
    row = await db.fetch_one(SELECT_DETAILS, {"id": task_id})
    return TaskDetails(*row) if row else None


async def count_by_type(db: Database) -> list[TypeCount]:
    return [TypeCount(*row) for row in await db.fetch_all(COUNT_BY_TYPE)]
