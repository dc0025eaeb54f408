"""Tasks and events in every state, without a worker: what operators look at."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.core.database import Database
from app.core.queue import Priority, Queue, Waker
from app.tasks import store
from app.tasks.store import Claimed, Ending, Lane, Subscription
from tests.harness.queue_routes import REMIND, SUBSCRIBERS, WRITTEN, Note

LANES = [Lane(name, priority, room=1000) for name in (REMIND.name, "search.index") for priority in Priority]
SEARCH = Subscription(WRITTEN.name, SUBSCRIBERS[0].name, priority=0, max_retries=10)


async def enqueue(db: Database, count: int = 1, **options: Any) -> list[UUID]:
    """Tasks with a payload that no list may show."""
    queue = Queue(db, Waker(db))
    async with db.transaction():
        found = [await queue.enqueue(REMIND, Note("for ada@example.org"), **options) for _ in range(count)]
    return [each for each in found if each is not None]


async def claim(db: Database) -> list[Claimed]:
    return await store.claim(db, LANES, worker="host:1:x", lease=60, limit=1000)


async def end(db: Database, status: str, error: str | None = None) -> list[UUID]:
    """Run whatever is due, and let it end so."""
    claimed = await claim(db)
    await store.finish(db, [Ending(each.id, each.lease_seq, status, error) for each in claimed])
    return [each.id for each in claimed]


async def publish(db: Database, aggregate: UUID) -> UUID:
    queue = Queue(db, Waker(db))
    async with db.transaction():
        return await queue.publish(WRITTEN, aggregate, Note("for ada@example.org"))


async def hand_on(db: Database) -> None:
    """What the relay does, for one of both subscribers."""
    moved = await store.move_events(db, [SEARCH], known=[WRITTEN.name])
    assert moved is not None
    await store.promote(db, moved.order_keys)
