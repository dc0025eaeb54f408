"""Moving events from the outbox to the tasks of their subscribers, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, INTEGER

from app.core.database import Database, Statement

# One relay at a time, in the order of positions. A second one finds the lock taken and has nothing to do.
TRY_RELAY_LOCK = Statement(
    text("SELECT pg_try_advisory_xact_lock(hashtextextended('plinth:relay', 0))"), name="try_relay_lock"
)

# What is published but not committed is not seen here and comes with a later batch: nothing remembers how far the
# relay has come, so nothing can be passed over. FOR UPDATE makes a second relay harmless even without the lock.
MOVE_EVENTS = Statement(
    text("""
WITH batch AS (
    SELECT id, position, aggregate_type, aggregate_id, event_type, payload, context, created_at FROM outbox
    WHERE processed_at IS NULL AND position >= :floor AND event_type = ANY (CAST(:known AS text[]))
    ORDER BY position LIMIT :limit FOR UPDATE
), marked AS (
    UPDATE outbox SET processed_at = clock_timestamp() FROM batch WHERE outbox.id = batch.id
), moved AS (
    INSERT INTO tasks (task_type, payload, status, priority, max_retries, run_at, order_key, order_position, context)
    SELECT subscription.name,
           jsonb_build_object('event_id', batch.id, 'aggregate_id', batch.aggregate_id, 'data', batch.payload),
           'waiting', subscription.priority, subscription.max_retries, clock_timestamp(),
           subscription.name || ':' || batch.aggregate_type || ':' || batch.aggregate_id, batch.position, batch.context
    FROM batch JOIN unnest(CAST(:events AS text[]), CAST(:names AS text[]), CAST(:priorities AS integer[]),
                           CAST(:max_retries AS integer[])) AS subscription (event_type, name, priority, max_retries)
         ON subscription.event_type = batch.event_type
    ORDER BY batch.position
    RETURNING order_key
)
SELECT (SELECT count(*) FROM batch) AS events, (SELECT max(position) FROM batch) AS last,
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - created_at)), 0)::double precision FROM batch)
           AS lag,
       (SELECT count(*) FROM moved) AS tasks,
       ARRAY(SELECT DISTINCT order_key FROM moved) AS order_keys
""").bindparams(
        bindparam("floor", type_=BIGINT),
        bindparam("known", type_=ARRAY(Text)),
        bindparam("limit", type_=INTEGER),
        bindparam("events", type_=ARRAY(Text)),
        bindparam("names", type_=ARRAY(Text)),
        bindparam("priorities", type_=ARRAY(INTEGER)),
        bindparam("max_retries", type_=ARRAY(INTEGER)),
    ),
    name="move_events",
)


@dataclass(frozen=True)
class Subscription:
    """One subscriber, as the relay needs it."""

    event_type: str
    name: str
    priority: int
    max_retries: int


@dataclass(frozen=True)
class Moved:
    """What one batch moved: `last` is the highest position in it, `lag` the age of its oldest event in seconds.

    `order_keys` are to be promoted once this is committed.
    """

    events: int
    last: int | None
    lag: float
    tasks: int
    order_keys: list[str]


async def move_events(
    db: Database, subscriptions: Sequence[Subscription], *, known: Sequence[str], limit: int = 500, floor: int = 0
) -> Moved | None:
    """Make a task of each event for each of its subscribers; None while another relay is at it.

    Events of types that are not `known` stay where they are, for a worker that knows them.
    """
    values = {
        "floor": floor,
        "known": list(known),
        "limit": limit,
        "events": [each.event_type for each in subscriptions],
        "names": [each.name for each in subscriptions],
        "priorities": [int(each.priority) for each in subscriptions],
        "max_retries": [each.max_retries for each in subscriptions],
    }
    async with db.transaction():
        if not await db.fetch_val(TRY_RELAY_LOCK):
            return None
        return Moved(*await db.fetch_existing(MOVE_EVENTS, values))
