"""What an operator reads of events, and how one is handed on again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, BOOLEAN, INTEGER

from app.core.database import TIMESTAMP, Database, Statement
from app.tasks.store.operations_lists import Moment
from app.tasks.store.relaying import Subscription

# In two parts, so that the few that were not handed on are found by the index that holds nothing else.
SELECT_EVENTS = Statement(
    text("""
SELECT * FROM (
    (SELECT id, event_type, aggregate_type, aggregate_id, position, created_at, processed_at FROM outbox
     WHERE id < :before AND (CAST(:event_type AS text) IS NULL OR event_type = :event_type) AND processed_at IS NULL
     ORDER BY id DESC LIMIT :limit)
    UNION ALL
    (SELECT id, event_type, aggregate_type, aggregate_id, position, created_at, processed_at FROM outbox
     WHERE id < :before AND (CAST(:event_type AS text) IS NULL OR event_type = :event_type)
       AND processed_at IS NOT NULL AND NOT :unprocessed
     ORDER BY id DESC LIMIT :limit)
) AS found
ORDER BY id DESC LIMIT :limit
""").bindparams(
        bindparam("before", type_=Uuid),
        bindparam("event_type", type_=Text),
        bindparam("unprocessed", type_=BOOLEAN),
        bindparam("limit", type_=INTEGER),
    ),
    name="select_events",
)

SELECT_EVENT = Statement(
    text("""
SELECT id, event_type, aggregate_type, aggregate_id, position, created_at, processed_at, payload, context
FROM outbox WHERE id = :id
""").bindparams(bindparam("id", type_=Uuid)),
    name="select_event",
)

# A position belongs to one event, and only deliveries have one. Nothing of them ended before the event was there:
# that keeps the search to what is younger, since no index of so large a table is worth a question that is so rare.
SELECT_DELIVERIES = Statement(
    text("""
SELECT id, task_type, status, retry_count, max_retries, crash_count, CAST(NULL AS timestamptz) AS finished_at,
       split_part(last_error, E'\\n', 1) AS error
FROM tasks WHERE order_position = :position
UNION ALL
SELECT id, task_type, status, retry_count, max_retries, crash_count, finished_at, split_part(last_error, E'\\n', 1)
FROM finished_tasks WHERE order_position = :position AND finished_at >= :since
ORDER BY 2, 1
""").bindparams(bindparam("position", type_=BIGINT), bindparam("since", type_=TIMESTAMP)),
    name="select_deliveries",
)

SELECT_DEALT_WITH = Statement(
    text("""
SELECT handler_name, processed_at FROM processed_events WHERE event_id = :id ORDER BY handler_name
""").bindparams(bindparam("id", type_=Uuid)),
    name="select_processed_events_of",
)

SELECT_OUTBOX_STATE = Statement(
    text("""
SELECT (SELECT count(*) FROM outbox WHERE processed_at IS NULL) AS unprocessed,
       (SELECT min(created_at) FROM outbox WHERE processed_at IS NULL) AS oldest_at,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::double precision
        FROM outbox WHERE processed_at IS NULL) AS lag,
       (SELECT count(*) FROM tasks WHERE order_key IS NOT NULL) AS deliveries,
       (SELECT count(*) FROM finished_tasks WHERE status = 'dead' AND order_key IS NOT NULL) AS dead_deliveries
"""),
    name="select_outbox_state",
)

LOCK_EVENT = Statement(
    text("SELECT processed_at FROM outbox WHERE id = :id FOR UPDATE").bindparams(bindparam("id", type_=Uuid)),
    name="lock_event",
)

# As the relay makes them. Where one is still on its way, another would say the same twice.
REDELIVER = Statement(
    text("""
INSERT INTO tasks (task_type, payload, status, priority, max_retries, run_at, order_key, order_position, context)
SELECT subscription.name,
       jsonb_build_object('event_id', outbox.id, 'aggregate_id', aggregate_id, 'data', payload),
       'waiting', subscription.priority, subscription.max_retries, clock_timestamp(),
       subscription.name || ':' || aggregate_type || ':' || aggregate_id, position, context
FROM outbox CROSS JOIN unnest(CAST(:names AS text[]), CAST(:priorities AS integer[]), CAST(:max_retries AS integer[]))
     AS subscription (name, priority, max_retries)
WHERE outbox.id = :id AND NOT EXISTS (
    SELECT FROM tasks AS other WHERE other.order_position = outbox.position
       AND other.order_key = subscription.name || ':' || aggregate_type || ':' || aggregate_id)
RETURNING id, task_type, order_key
""").bindparams(
        bindparam("id", type_=Uuid),
        bindparam("names", type_=ARRAY(Text)),
        bindparam("priorities", type_=ARRAY(INTEGER)),
        bindparam("max_retries", type_=ARRAY(INTEGER)),
    ),
    name="redeliver_event",
)


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as a list shows it; `processed_at` is when its subscribers' tasks were made."""

    id: UUID
    event_type: str
    aggregate_type: str
    aggregate_id: UUID
    position: int
    created_at: Moment
    processed_at: Moment | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """The same with its payload, which may hold personal data."""

    id: UUID
    event_type: str
    aggregate_type: str
    aggregate_id: UUID
    position: int
    created_at: Moment
    processed_at: Moment | None
    payload: Any
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """The task that takes, or took, an event to one subscriber; `error` is the first line of it."""

    task_id: UUID
    handler: str
    status: str
    retry_count: int
    max_retries: int
    crash_count: int
    finished_at: Moment | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DealtWith:
    """One subscriber that remembers the event: a second delivery changes nothing there."""

    handler: str
    processed_at: Moment


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How far the relay is behind (`lag`, in seconds), and what became of deliveries."""

    unprocessed: int
    oldest_at: Moment | None
    lag: float
    deliveries: int
    dead_deliveries: int


@dataclass(frozen=True, slots=True)
class Redelivered:
    """One task that was made for an event once more; its key is to be promoted after the commit."""

    id: UUID
    handler: str
    order_key: str


async def select_events(
    db: Database, *, event_type: str | None, unprocessed: bool, before: UUID, limit: int
) -> list[EventLine]:
    """Newest first, those older than `before`."""
    values = {"event_type": event_type, "unprocessed": unprocessed, "before": before, "limit": limit}
    return [EventLine(*row) for row in await db.fetch_all(SELECT_EVENTS, values)]


async def select_event(db: Database, event_id: UUID) -> StoredEvent | None:
    row = await db.fetch_one(SELECT_EVENT, {"id": event_id})
    return StoredEvent(*row) if row else None


async def select_deliveries(db: Database, event: StoredEvent) -> list[DeliveryLine]:
    values = {"position": event.position, "since": event.created_at}
    return [DeliveryLine(*row) for row in await db.fetch_all(SELECT_DELIVERIES, values)]


async def select_dealt_with(db: Database, event_id: UUID) -> list[DealtWith]:
    return [DealtWith(*row) for row in await db.fetch_all(SELECT_DEALT_WITH, {"id": event_id})]


async def select_outbox_state(db: Database) -> OutboxState:
    return OutboxState(*await db.fetch_existing(SELECT_OUTBOX_STATE))


async def redeliver(db: Database, event_id: UUID, subscriptions: Sequence[Subscription]) -> list[Redelivered]:
    """Make a task of this event for each of them that has none under way. Inside a transaction, of its own."""
    await db.fetch_all(LOCK_EVENT, {"id": event_id})  # two at once would both see none
    values = {
        "id": event_id,
        "names": [each.name for each in subscriptions],
        "priorities": [int(each.priority) for each in subscriptions],
        "max_retries": [each.max_retries for each in subscriptions],
    }
    return [Redelivered(*row) for row in await db.fetch_all(REDELIVER, values)]
