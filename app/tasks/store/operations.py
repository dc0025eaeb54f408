"""What an operator changes: ended tasks go back, others are ended, and what has ended is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER

from app.core.database import TIMESTAMP, Database, Statement

# In first and out afterwards: where a dedupe_key is taken, the task stays where it is. `lease_seq` goes on from where
# it was, so that a worker of the old run can't touch the new one.
RETRY = Statement(
    text("""
WITH picked AS (
    SELECT * FROM finished_tasks WHERE id = ANY (CAST(:ids AS uuid[])) AND status IN ('dead', 'cancelled')
    ORDER BY id FOR UPDATE
), back AS (
    INSERT INTO tasks (id, task_type, payload, status, priority, max_retries, run_at, lease_seq, last_error, dedupe_key,
                       order_key, order_position, context, created_at)
    SELECT id, task_type, payload, CASE WHEN order_key IS NULL THEN 'pending' ELSE 'waiting' END, priority, max_retries,
           clock_timestamp(), lease_seq, last_error, dedupe_key, order_key, order_position, context, created_at
    FROM picked
    ON CONFLICT DO NOTHING
    RETURNING id, order_key
), gone AS (
    DELETE FROM finished_tasks USING back WHERE finished_tasks.id = back.id
)
SELECT id, order_key FROM back
""").bindparams(bindparam("ids", type_=ARRAY(Uuid))),
    name="retry_tasks",
)

# The row goes, and with it the lease: whatever its worker says of it afterwards matches nothing. A batch waits for no
# lock, since workers lock many rows, too, in an order of their own; what it passes over is asked for alone.
CANCEL = Statement(
    text("""
WITH picked AS (
    SELECT id FROM tasks WHERE id = ANY (CAST(:ids AS uuid[])) FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM tasks USING picked WHERE tasks.id = picked.id RETURNING tasks.*
), kept AS (
    INSERT INTO finished_tasks (id, task_type, payload, status, priority, retry_count, max_retries, crash_count,
                                lease_seq, run_at, locked_by, last_error, dedupe_key, order_key, order_position,
                                context, created_at, finished_at)
    SELECT id, task_type, payload, 'cancelled', priority, retry_count, max_retries, crash_count, lease_seq, run_at,
           locked_by, last_error, dedupe_key, order_key, order_position, context, created_at, clock_timestamp()
    FROM gone
)
SELECT id, order_key, status = 'running' AS running FROM gone
""").bindparams(bindparam("ids", type_=ARRAY(Uuid))),
    name="cancel_tasks",
)

LOCK_TASK = Statement(
    text("SELECT id FROM tasks WHERE id = :id FOR UPDATE").bindparams(bindparam("id", type_=Uuid)),
    name="lock_task",
)

PURGE = Statement(
    text("""
WITH picked AS (
    SELECT id FROM finished_tasks
    WHERE status = :status AND finished_at < :before AND (CAST(:task_type AS text) IS NULL OR task_type = :task_type)
    ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM finished_tasks USING picked WHERE finished_tasks.id = picked.id RETURNING finished_tasks.id
)
SELECT count(*) FROM gone
""").bindparams(
        bindparam("status", type_=Text),
        bindparam("before", type_=TIMESTAMP),
        bindparam("task_type", type_=Text),
        bindparam("limit", type_=INTEGER),
    ),
    name="purge_finished_tasks",
)

COUNT_PURGEABLE = Statement(
    text("""
SELECT count(*) FROM finished_tasks
WHERE status = :status AND finished_at < :before AND (CAST(:task_type AS text) IS NULL OR task_type = :task_type)
""").bindparams(
        bindparam("status", type_=Text), bindparam("before", type_=TIMESTAMP), bindparam("task_type", type_=Text)
    ),
    name="count_purgeable_tasks",
)

# Two lists of ids behind one another, for what is done in batches; oldest first, so that each has one end.
SELECT_DEAD_IDS = Statement(
    text("""
SELECT id FROM finished_tasks
WHERE status = 'dead' AND id > :after AND (CAST(:task_type AS text) IS NULL OR task_type = :task_type)
ORDER BY id LIMIT :limit
""").bindparams(bindparam("after", type_=Uuid), bindparam("task_type", type_=Text), bindparam("limit", type_=INTEGER)),
    name="select_dead_task_ids",
)

SELECT_LIVE_IDS = Statement(
    text("""
SELECT id FROM tasks WHERE task_type = :task_type AND id > :after ORDER BY id LIMIT :limit
""").bindparams(bindparam("task_type", type_=Text), bindparam("after", type_=Uuid), bindparam("limit", type_=INTEGER)),
    name="select_live_task_ids",
)

WHERE_IS = Statement(
    text("""
SELECT id, status FROM tasks WHERE id = ANY (CAST(:ids AS uuid[]))
UNION ALL SELECT id, status FROM finished_tasks WHERE id = ANY (CAST(:ids AS uuid[]))
""").bindparams(bindparam("ids", type_=ARRAY(Uuid))),
    name="select_task_statuses",
)

NOW = Statement(text("SELECT clock_timestamp() AS now"), name="select_database_time")


@dataclass(frozen=True)
class Retried:
    """One that is to be run again; its key is to be promoted after the commit."""

    id: UUID
    order_key: str | None


@dataclass(frozen=True)
class Cancelled:
    """One that was ended; where it was `running`, its worker has to be told."""

    id: UUID
    order_key: str | None
    running: bool


async def retry(db: Database, ids: Sequence[UUID]) -> list[Retried]:
    """Have dead and cancelled tasks run again, as if they had just been asked for; the others are missing here."""
    return [Retried(*row) for row in await db.fetch_all(RETRY, {"ids": list(ids)})]


async def cancel(db: Database, ids: Sequence[UUID]) -> list[Cancelled]:
    """End those that no other transaction is changing; whatever is missing has ended, or is to be tried alone."""
    return [Cancelled(*row) for row in await db.fetch_all(CANCEL, {"ids": list(ids)})]


async def cancel_one(db: Database, task_id: UUID) -> list[Cancelled]:
    """The same for one, which is waited for."""
    async with db.transaction():
        await db.fetch_all(LOCK_TASK, {"id": task_id})
        return await cancel(db, [task_id])


async def purge(db: Database, *, status: str, before: datetime, task_type: str | None, limit: int) -> int:
    """Delete at most `limit` of what ended before `before`; gives how many there were."""
    values = {"status": status, "before": before, "task_type": task_type, "limit": limit}
    deleted: int = await db.fetch_val(PURGE, values)
    return deleted


async def count_purgeable(db: Database, *, status: str, before: datetime, task_type: str | None) -> int:
    count: int = await db.fetch_val(COUNT_PURGEABLE, {"status": status, "before": before, "task_type": task_type})
    return count


async def select_dead_ids(db: Database, *, task_type: str | None, after: UUID, limit: int) -> list[UUID]:
    values = {"task_type": task_type, "after": after, "limit": limit}
    return [row["id"] for row in await db.fetch_all(SELECT_DEAD_IDS, values)]


async def select_live_ids(db: Database, *, task_type: str, after: UUID, limit: int) -> list[UUID]:
    values = {"task_type": task_type, "after": after, "limit": limit}
    return [row["id"] for row in await db.fetch_all(SELECT_LIVE_IDS, values)]


async def select_statuses(db: Database, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Where each of them stands; one that does not exist is missing."""
    return {row["id"]: row["status"] for row in await db.fetch_all(WHERE_IS, {"ids": list(ids)})}


async def select_now(db: Database) -> datetime:
    """The database's clock, by which everything here is dated."""
    now: datetime = await db.fetch_val(NOW)
    return now
