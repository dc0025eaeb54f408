"""What an operator may do to events, from the command line or over the admin API; for tasks, `app.tasks.operations`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.database import Database
from app.core.errors import Conflict, NotFound
from app.tasks.operations import settle
from app.tasks.registry import Registry
from app.tasks.store import operations_outbox
from app.tasks.store.operations_lists import NEWEST
from app.tasks.store.operations_outbox import (
    DealtWith,
    DeliveryLine,
    EventLine,
    OutboxState,
    Redelivered,
    StoredEvent,
)
from app.tasks.store.relaying import Subscription

__all__ = [
    "DealtWith",
    "DeliveryLine",
    "EventDetails",
    "EventLine",
    "NoSuchEvent",
    "NoSuchSubscriber",
    "NotHandedOn",
    "NothingToDeliver",
    "OutboxState",
    "Redelivered",
    "StoredEvent",
    "list_events",
    "outbox_state",
    "redeliver",
    "show_event",
]


class NoSuchEvent(NotFound):
    """There is no event with this id."""


class NoSuchSubscriber(NotFound):
    """No subscriber of this event has that name."""


class NotHandedOn(Conflict):
    """This event has not been handed on yet; it will be as soon as a worker runs."""


class NothingToDeliver(Conflict):
    """Nobody subscribes to this event, or its deliveries are still under way."""


@dataclass(frozen=True, slots=True)
class EventDetails:
    """An event, the tasks of its subscribers, and those who remember it."""

    event: StoredEvent
    deliveries: list[DeliveryLine]
    dealt_with: list[DealtWith]


async def list_events(
    db: Database,
    *,
    event_type: str | None = None,
    unprocessed: bool = False,
    before: UUID = NEWEST,
    limit: int = 50,
) -> list[EventLine]:
    """Newest first, those older than `before`; without payloads."""
    return await operations_outbox.select_events(
        db, event_type=event_type, unprocessed=unprocessed, before=before, limit=limit
    )


async def show_event(db: Database, event_id: UUID) -> EventDetails:
    """Raises `NoSuchEvent`."""
    event = await operations_outbox.select_event(db, event_id)
    if event is None:
        raise NoSuchEvent
    deliveries = await operations_outbox.select_deliveries(db, event)
    return EventDetails(event, deliveries, await operations_outbox.select_dealt_with(db, event_id))


async def outbox_state(db: Database) -> OutboxState:
    return await operations_outbox.select_outbox_state(db)


async def redeliver(
    db: Database, registry: Registry, event_id: UUID, *, handler: str | None = None
) -> list[Redelivered]:
    """Hand an event on to its subscribers once more, or to one of them; who remembers it changes nothing.

    Raises `NoSuchEvent`, `NotHandedOn`, `NoSuchSubscriber` and `NothingToDeliver`.
    """
    event = await operations_outbox.select_event(db, event_id)
    if event is None:
        raise NoSuchEvent
    if event.processed_at is None:
        raise NotHandedOn
    async with db.transaction():
        made = await operations_outbox.redeliver(db, event_id, _subscriptions(registry, event.event_type, handler))
    if not made:
        raise NothingToDeliver
    await settle(db, [each.order_key for each in made], ["tasks"])
    return made


def _subscriptions(registry: Registry, event_type: str, handler: str | None) -> list[Subscription]:
    known = [each for each in registry.subscribers if each.event.name == event_type]
    if handler is not None and handler not in {each.name for each in known}:
        names = ", ".join(sorted(each.name for each in known)) or "nobody"
        raise NoSuchSubscriber(f"{NoSuchSubscriber.__doc__} Those who subscribe to {event_type}: {names}.")
    return [
        Subscription(event_type, each.name, int(each.priority), each.retries)
        for each in known
        if handler in (None, each.name)
    ]
