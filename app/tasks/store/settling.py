"""The ends of a run: finished, or to be run again; and the lease of one that goes on. All in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, BOOLEAN, DOUBLE_PRECISION

from app.core.database import Database, Statement

# `locked_by` says that it runs, as `status` does, and the array finds it by the key: where the planner believes the
# table to be empty, it would rather read all of what runs by its index, with the dead rows that a held snapshot keeps.
# The fence is read by its place in the array, because a join would compare each of them with each.
FINISH = Statement(
    text("""
WITH gone AS (
    DELETE FROM tasks
    WHERE tasks.id = ANY (CAST(:ids AS uuid[])) AND tasks.locked_by IS NOT NULL
      AND tasks.lease_seq = (CAST(:lease_seqs AS bigint[]))[array_position(CAST(:ids AS uuid[]), tasks.id)]
    RETURNING tasks.*, array_position(CAST(:ids AS uuid[]), tasks.id) AS place
)
INSERT INTO finished_tasks (id, task_type, payload, status, priority, retry_count, max_retries, crash_count, lease_seq,
                            run_at, locked_by, last_error, dedupe_key, order_key, order_position, context, created_at,
                            finished_at)
SELECT id, task_type, payload, (CAST(:statuses AS text[]))[place], priority, retry_count, max_retries, crash_count,
       lease_seq, run_at, locked_by, coalesce((CAST(:errors AS text[]))[place], last_error), dedupe_key, order_key,
       order_position, context, created_at, clock_timestamp()
FROM gone
RETURNING id, order_key
""").bindparams(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("lease_seqs", type_=ARRAY(BIGINT)),
        bindparam("statuses", type_=ARRAY(Text)),
        bindparam("errors", type_=ARRAY(Text)),
    ),
    name="finish_tasks",
)

REQUEUE = Statement(
    text("""
UPDATE tasks SET status = 'pending', locked_by = NULL, locked_until = NULL,
       run_at = CASE WHEN again.delay IS NULL THEN tasks.run_at
                     ELSE clock_timestamp() + make_interval(secs => again.delay) END,
       retry_count = retry_count + CASE WHEN again.failed THEN 1 ELSE 0 END,
       last_error = coalesce(again.error, tasks.last_error)
FROM unnest(CAST(:ids AS uuid[]), CAST(:lease_seqs AS bigint[]), CAST(:delays AS double precision[]),
            CAST(:failed AS boolean[]), CAST(:errors AS text[])) AS again (id, lease_seq, delay, failed, error)
WHERE tasks.id = ANY (CAST(:ids AS uuid[])) AND tasks.id = again.id AND tasks.locked_by IS NOT NULL
  AND tasks.lease_seq = again.lease_seq
RETURNING tasks.id, order_key
""").bindparams(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("lease_seqs", type_=ARRAY(BIGINT)),
        bindparam("delays", type_=ARRAY(DOUBLE_PRECISION)),
        bindparam("failed", type_=ARRAY(BOOLEAN)),
        bindparam("errors", type_=ARRAY(Text)),
    ),
    name="requeue_tasks",
)

RENEW = Statement(
    text("""
UPDATE tasks SET locked_until = now() + make_interval(secs => :lease)
FROM unnest(CAST(:ids AS uuid[]), CAST(:lease_seqs AS bigint[])) AS held (id, lease_seq)
WHERE tasks.id = ANY (CAST(:ids AS uuid[])) AND tasks.id = held.id AND tasks.locked_by IS NOT NULL
  AND tasks.lease_seq = held.lease_seq
RETURNING tasks.id
""").bindparams(
        bindparam("lease", type_=DOUBLE_PRECISION),
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("lease_seqs", type_=ARRAY(BIGINT)),
    ),
    name="renew_leases",
)

# Until the commit nobody can take the task or end it: either of that locks the row's key. A renewal does not.
HOLD = Statement(
    text("""
SELECT id FROM tasks WHERE id = :id AND status = 'running' AND lease_seq = :lease_seq FOR KEY SHARE
""").bindparams(bindparam("id", type_=Uuid), bindparam("lease_seq", type_=BIGINT)),
    name="hold_task",
)


@dataclass(frozen=True, slots=True)
class Ending:
    """A run that ends its task: `status` is done or dead."""

    id: UUID
    lease_seq: int
    status: str = "done"
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Requeueing:
    """A run after which the task waits again, `delay` seconds; without a delay it keeps its place (a release)."""

    id: UUID
    lease_seq: int
    delay: float | None = None
    failed: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One that was still ours; of those that are missing in the answer, the lease was lost."""

    id: UUID
    order_key: str | None


async def finish(db: Database, endings: Sequence[Ending]) -> list[Settled]:
    """Move these to `finished_tasks`. May be repeated: what it has done already is missing in the answer."""
    values = {
        "ids": [each.id for each in endings],
        "lease_seqs": [each.lease_seq for each in endings],
        "statuses": [each.status for each in endings],
        "errors": [each.error for each in endings],
    }
    return [Settled(*row) for row in await db.fetch_all(FINISH, values)]


async def requeue(db: Database, runs: Sequence[Requeueing]) -> list[Settled]:
    """Have these wait again. May be repeated."""
    values = {
        "ids": [each.id for each in runs],
        "lease_seqs": [each.lease_seq for each in runs],
        "delays": [each.delay for each in runs],
        "failed": [each.failed for each in runs],
        "errors": [each.error for each in runs],
    }
    return [Settled(*row) for row in await db.fetch_all(REQUEUE, values)]


async def renew(db: Database, held: Sequence[tuple[UUID, int]], *, lease: float) -> set[UUID]:
    """Keep these (id and `lease_seq`) for `lease` seconds from now; those that are missing in the answer are lost."""
    values = {"ids": [id_ for id_, _ in held], "lease_seqs": [seq for _, seq in held], "lease": lease}
    return {row["id"] for row in await db.fetch_all(RENEW, values)}


async def hold(db: Database, id_: UUID, lease_seq: int) -> bool:
    """Whether this run still has its task; if so, it keeps it until the end of the open transaction."""
    return await db.fetch_one(HOLD, {"id": id_, "lease_seq": lease_seq}) is not None
