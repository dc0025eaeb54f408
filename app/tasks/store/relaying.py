"""Moving events from the outbox to the tasks of their subscribers, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, INTEGER

from app.core.database import Database, Statement

# One relay at a time, in the order of positions; a second one finds the lock taken and has nothing to do. All in one
# statement: a relay that freezes holds nothing while it does, as it would between BEGIN and COMMIT.
#
# What is published but not committed is not seen here and comes with a later batch: nothing remembers how far the
# relay has come, so nothing can be passed over. FOR UPDATE makes a second relay harmless even without the lock.
# An array of ids is found by the key whatever the planner believes of the batch, and the history is long.
# No column of a row can make it fail: nothing is decoded, and what gets into a key of an index is cut to fit one.
MOVE_EVENTS = Statement(
    text("""
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended('plinth:relay', 0)) AS is_ours
), batch AS MATERIALIZED (
    SELECT id, position, left(aggregate_type, 100) AS aggregate_type, aggregate_id, event_type, payload, context,
           created_at
    FROM outbox
    WHERE (SELECT is_ours FROM turn) AND processed_at IS NULL AND position >= :floor
      AND event_type = ANY (CAST(:known AS text[]))
    ORDER BY position LIMIT :limit FOR UPDATE
), marked AS (
    UPDATE outbox SET processed_at = clock_timestamp() WHERE id = ANY (ARRAY(SELECT id FROM batch))
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
SELECT (SELECT count(*) FROM batch) AS events,
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - created_at)), 0)::double precision FROM batch)
           AS lag,
       (SELECT count(*) FROM moved) AS tasks,
       ARRAY(SELECT DISTINCT order_key FROM moved) AS order_keys,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_open
FROM turn WHERE is_ours
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

# The position first, and the transaction's number after it: whoever has taken this position or a lower one has a
# lower number, because `publish` takes its number before the position.
SELECT_HORIZON = Statement(
    text("""
SELECT position, pg_current_xact_id()::text::bigint AS next_transaction
FROM (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS position FROM outbox_position_seq OFFSET 0) AS given
"""),
    name="select_horizon",
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
    """What one batch moved; `lag` is the age of its oldest event, in seconds.

    `order_keys` are to be promoted once this is committed. Transactions below `oldest_open` had ended before it.
    """

    events: int
    lag: float
    tasks: int
    order_keys: list[str]
    oldest_open: int


@dataclass(frozen=True)
class Horizon:
    """Positions up to `position` belong to transactions below `next_transaction`."""

    position: int
    next_transaction: int


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
    row = await db.fetch_one(MOVE_EVENTS, values)
    return None if row is None else Moved(*row)


async def select_horizon(db: Database) -> Horizon:
    """How far positions are given out. Not inside a transaction that publishes: it would wait for itself."""
    return Horizon(*await db.fetch_existing(SELECT_HORIZON))
