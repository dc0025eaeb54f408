"""The statements of those who ask for work."""

from __future__ import annotations

from sqlalchemy import Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, INTEGER, JSONB

from app.core.database import TIMESTAMP, Statement

# The clock and not the transaction's beginning: what is asked for first is done first, however long it took.
INSERT_TASKS = Statement(
    text("""
INSERT INTO tasks (id, task_type, payload, priority, max_retries, run_at, dedupe_key, context)
SELECT id, :task_type, payload, :priority, :max_retries,
       coalesce(run_at, clock_timestamp() + make_interval(secs => delay)), dedupe_key, :context
FROM unnest(CAST(:ids AS uuid[]), CAST(:payloads AS jsonb[]), CAST(:run_ats AS timestamptz[]),
            CAST(:delays AS double precision[]), CAST(:dedupe_keys AS text[]))
     AS asked (id, payload, run_at, delay, dedupe_key)
ON CONFLICT (dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
RETURNING id
""").bindparams(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("task_type", type_=Text),
        bindparam("payloads", type_=ARRAY(JSONB)),
        bindparam("priority", type_=INTEGER),
        bindparam("max_retries", type_=INTEGER),
        bindparam("run_ats", type_=ARRAY(TIMESTAMP)),
        bindparam("delays", type_=ARRAY(DOUBLE_PRECISION)),
        bindparam("dedupe_keys", type_=ARRAY(Text)),
        bindparam("context", type_=JSONB),
    ),
    name="insert_tasks",
)

# The lock first, then the number, and the lock until the commit: the events of one aggregate are committed in the
# order of their numbers. Without it a later number may be seen before an earlier one, which then is never seen.
# The transaction's own number, too, is taken before: the relay concludes from it who may still hold a lower position.
INSERT_EVENT = Statement(
    text("""
WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended(:aggregate_type || ':' || CAST(:aggregate_id AS text), 0)),
           pg_current_xact_id()
)
INSERT INTO outbox (id, aggregate_type, aggregate_id, event_type, payload, context)
SELECT :id, :aggregate_type, :aggregate_id, :event_type, :payload, :context FROM locked
RETURNING id
""").bindparams(
        bindparam("id", type_=Uuid),
        bindparam("aggregate_type", type_=Text),
        bindparam("aggregate_id", type_=Uuid),
        bindparam("event_type", type_=Text),
        bindparam("payload", type_=JSONB),
        bindparam("context", type_=JSONB),
    ),
    name="insert_event",
)
