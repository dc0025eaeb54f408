"""Taking tasks, and taking them back from workers that have gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BOOLEAN, DOUBLE_PRECISION, INTEGER

from app.core.database import TIMESTAMP, Database, Row, Statement

ALWAYS = datetime(1, 1, 1, tzinfo=UTC)  # a floor below every row

# One index range for each lane. A row that another worker has just locked is passed over, so workers do not wait for
# each other. `most` bounds a type on all workers together, and over all its lanes, which is what `place` is for: the
# claims of such types are lined up by LOCK_TYPES. An array of ids is found by the key, whatever the planner believes: a
# join would read the whole key once the table was found empty, with all the dead rows that a held snapshot keeps.
CLAIM = Statement(
    text("""
WITH lane AS (
    SELECT lane.task_type, lane.priority, lane.floor, lane.most,
           least(lane.room, lane.most - (
               SELECT count(*) FROM tasks AS running WHERE running.status = 'running' AND lane.most IS NOT NULL
               AND running.locked_until > now() AND running.task_type = lane.task_type)) AS room
    FROM unnest(CAST(:types AS text[]), CAST(:priorities AS integer[]), CAST(:floors AS timestamptz[]),
                CAST(:rooms AS integer[]), CAST(:mosts AS integer[])) AS lane (task_type, priority, floor, room, most)
), found AS (
    SELECT found.id, run_at, CASE WHEN :oldest_first THEN 0 ELSE -lane.priority END AS urgency, task_type, most, room
    FROM lane CROSS JOIN LATERAL (
        SELECT id, run_at FROM tasks
        WHERE status = 'pending' AND task_type = lane.task_type AND priority = lane.priority
          AND run_at >= lane.floor AND run_at <= now()
        ORDER BY run_at, id LIMIT greatest(lane.room, 0) FOR UPDATE SKIP LOCKED
    ) AS found
), due AS (
    SELECT id FROM (
        SELECT *, row_number() OVER (PARTITION BY task_type ORDER BY urgency, run_at, id) AS place FROM found
    ) AS placed
    WHERE most IS NULL OR place <= room
    ORDER BY urgency, run_at, id LIMIT :limit
)
UPDATE tasks SET status = 'running', locked_by = :worker, lease_seq = lease_seq + 1,
       locked_until = now() + make_interval(secs => :lease)
WHERE tasks.id = ANY (ARRAY(SELECT id FROM due))
RETURNING tasks.id, task_type, CAST(payload AS text), priority, retry_count, max_retries, crash_count, lease_seq,
          run_at, order_key, CAST(context AS text),
          extract(epoch FROM clock_timestamp() - greatest(run_at, created_at))::double precision AS waited
""").bindparams(
        bindparam("types", type_=ARRAY(Text)),
        bindparam("priorities", type_=ARRAY(INTEGER)),
        bindparam("floors", type_=ARRAY(TIMESTAMP)),
        bindparam("rooms", type_=ARRAY(INTEGER)),
        bindparam("mosts", type_=ARRAY(INTEGER)),
        bindparam("oldest_first", type_=BOOLEAN),
        bindparam("limit", type_=INTEGER),
        bindparam("worker", type_=Text),
        bindparam("lease", type_=DOUBLE_PRECISION),
    ),
    name="claim_tasks",
)

# A statement of its own, before the claim: the count in the claim has to see what the last holder has committed.
LOCK_TYPES = Statement(
    text("""
SELECT pg_advisory_xact_lock(hashtextextended('claim:' || task_type, 0))
FROM (SELECT unnest(CAST(:types AS text[])) AS task_type ORDER BY 1) AS sorted
""").bindparams(bindparam("types", type_=ARRAY(Text))),
    name="lock_task_types",
)

# Of the types with a bound: is there anything to claim at all? One look into the index for each lane. EXISTS would be
# made a join, which reads the dead rows of all other types as well, and a held snapshot keeps millions of them.
SELECT_DUE_TYPES = Statement(
    text("""
SELECT DISTINCT asked.task_type
FROM unnest(CAST(:types AS text[])) AS asked (task_type) CROSS JOIN unnest(ARRAY[-1, 0, 1]) AS lane (priority)
CROSS JOIN LATERAL (
    SELECT FROM tasks WHERE status = 'pending' AND tasks.task_type = asked.task_type
    AND tasks.priority = lane.priority AND run_at <= now() ORDER BY run_at, id LIMIT 1
) AS due
""").bindparams(bindparam("types", type_=ARRAY(Text))),
    name="select_due_task_types",
)

# Tasks that this worker holds and knows nothing of: the answer to its claim was lost.
DISOWN = Statement(
    text("""
UPDATE tasks SET status = 'pending', locked_by = NULL, locked_until = NULL
WHERE status = 'running' AND locked_by = :worker AND id <> ALL (CAST(:known AS uuid[]))
RETURNING id
""").bindparams(bindparam("worker", type_=Text), bindparam("known", type_=ARRAY(Uuid))),
    name="disown_tasks",
)

# A lease that ran out is a crash of its worker, or as good as one. Three of them are no accident (stack notes, J7).
# From the second on they come back one by one: what was only near a task that kills workers gets away. They share what
# is left of `apart` seconds after the lease, so that a late look takes nothing but from their distance.
RESCUE = Statement(
    text("""
WITH expired AS (
    SELECT id, crash_count + 1 AS crashes FROM tasks
    WHERE status = 'running' AND locked_until < now() AND locked_until >= :floor
    ORDER BY locked_until LIMIT :limit FOR UPDATE SKIP LOCKED
), poison AS (
    DELETE FROM tasks USING expired
    WHERE tasks.id = ANY (ARRAY(SELECT id FROM expired)) AND tasks.id = expired.id AND crashes >= :max_crashes
    RETURNING tasks.*, crashes
), dead AS (
    INSERT INTO finished_tasks (id, task_type, payload, status, priority, retry_count, max_retries, crash_count,
                                lease_seq, run_at, locked_by, last_error, dedupe_key, order_key, order_position,
                                context, created_at, finished_at)
    SELECT id, task_type, payload, 'dead', priority, retry_count, max_retries, crashes, lease_seq, run_at, locked_by,
           'its worker was lost ' || crashes || ' times while it ran (poison)'
           || coalesce(E'\\nthe error before that: ' || last_error, ''),
           dedupe_key, order_key, order_position, context, created_at, clock_timestamp()
    FROM poison RETURNING id
), back AS (
    UPDATE tasks SET status = 'pending', crash_count = crashes, locked_by = NULL, locked_until = NULL,
           run_at = CASE WHEN crashes < 2 OR :apart = 0.0::double precision THEN run_at
                         ELSE clock_timestamp() + random() * greatest(
                             locked_until + make_interval(secs => :apart) - clock_timestamp(), interval '0') END
    FROM expired
    WHERE tasks.id = ANY (ARRAY(SELECT id FROM expired)) AND tasks.id = expired.id AND crashes < :max_crashes
    RETURNING tasks.id, task_type, order_key
)
SELECT id, task_type, order_key, false AS poison FROM back
UNION ALL SELECT id, task_type, order_key, true FROM poison
""").bindparams(
        bindparam("floor", type_=TIMESTAMP),
        bindparam("limit", type_=INTEGER),
        bindparam("max_crashes", type_=INTEGER),
        bindparam("apart", type_=DOUBLE_PRECISION),
    ),
    name="rescue_tasks",
)


@dataclass(frozen=True)
class Lane:
    """One type at one priority: how many of it may be claimed, and from which `run_at` on it is searched.

    `most`, where given, bounds how many of the type run on all workers together.
    """

    task_type: str
    priority: int
    room: int
    floor: datetime = ALWAYS
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task in this worker's hands until its lease ends; `waited` is in seconds, since it was due."""

    id: UUID
    task_type: str
    payload: Any
    priority: int
    retry_count: int
    max_retries: int
    crash_count: int
    lease_seq: int
    run_at: datetime
    order_key: str | None
    context: dict[str, str]
    waited: float


@dataclass(frozen=True)
class Rescued:
    """A task whose lease had run out: claimable again, or dead where `poison`."""

    id: UUID
    task_type: str
    order_key: str | None
    poison: bool


async def claim(
    db: Database, lanes: Sequence[Lane], *, worker: str, lease: float, limit: int, oldest_first: bool = False
) -> list[Claimed]:
    """Take at most `limit` due tasks for `lease` seconds: by priority, or the oldest of all, whatever theirs is.

    The types of lanes with `most` are locked until the claim is committed.
    """
    bounded = sorted({lane.task_type for lane in lanes if lane.most is not None})
    values = {
        "types": [lane.task_type for lane in lanes],
        "priorities": [int(lane.priority) for lane in lanes],
        "floors": [lane.floor for lane in lanes],
        "rooms": [min(lane.room, limit) for lane in lanes],
        "mosts": [lane.most for lane in lanes],
        "oldest_first": oldest_first,
        "limit": limit,
        "worker": worker,
        "lease": lease,
    }
    if not bounded:
        return [_claimed(row) for row in await db.fetch_all(CLAIM, values)]
    async with db.transaction():
        await db.fetch_all(LOCK_TYPES, {"types": bounded})
        return [_claimed(row) for row in await db.fetch_all(CLAIM, values)]


def _claimed(row: Row) -> Claimed:
    """One that does not decode (too deep, a number too large) is a failure of its own: it must not stop the others."""
    values, payload, context = list(row), 2, 10
    values[payload], values[context] = _decoded(values[payload]), _decoded(values[context])
    if not isinstance(values[context], dict):
        values[context] = {}
    return Claimed(*values)


def _decoded(stored: str) -> Any:  # noqa: ANN401  (JSON)
    """The text itself, which no declared payload is, where it can't be decoded."""
    try:
        return orjson.loads(stored)
    except orjson.JSONDecodeError:
        return stored


async def select_due_types(db: Database, types: Sequence[str]) -> set[str]:
    """Which of these types have something to claim now."""
    return {row["task_type"] for row in await db.fetch_all(SELECT_DUE_TYPES, {"types": list(types)})}


async def disown(db: Database, *, worker: str, known: Sequence[UUID]) -> list[UUID]:
    """Give back what this worker has claimed without hearing of it; no claim of its own may be under way."""
    return [row["id"] for row in await db.fetch_all(DISOWN, {"worker": worker, "known": list(known)})]


async def rescue(
    db: Database, *, max_crashes: int, limit: int = 500, floor: datetime = ALWAYS, apart: float = 0.0
) -> list[Rescued]:
    """Take back the tasks whose lease has run out; those that did so `max_crashes` times are dead.

    Those that did so twice or more are due again within `apart` seconds from the end of their lease, each at a moment
    of its own; at once where that is over.
    """
    values = {"floor": floor, "limit": limit, "max_crashes": max_crashes, "apart": apart}
    rows = await db.fetch_all(RESCUE, values)
    return [Rescued(*row) for row in rows]
