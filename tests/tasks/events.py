"""Events of a made-up feature, and what their subscribers do to the database: one row for each effect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from app.core.database import Database
from app.core.lifecycle import Lifecycle
from app.core.queue import Event
from app.core.resources import Resources, open_resources
from app.tasks import Delivery, Registry, Subscriber
from app.tasks.hints import Hints
from app.tasks.relay import Relay
from app.tasks.runner import Runner
from tests.harness.settings import TestSettings

EFFECTS = """
CREATE TABLE IF NOT EXISTS effects (
    place bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    handler text NOT NULL,
    event_id uuid NOT NULL,
    aggregate_id uuid NOT NULL,
    number bigint NOT NULL
)
"""
INSERT_EFFECT = """
INSERT INTO effects (handler, event_id, aggregate_id, number) VALUES (:handler, :event_id, :aggregate_id, :number)
"""


@dataclass(frozen=True)
class Moved:
    """Which one of its aggregate, or of all, as the test counts."""

    number: int


MOVED = Event("test.moved", Moved, aggregate="thing")
Events = tuple[Event[Moved], ...]
Run = Callable[[Delivery[Moved]], Awaitable[None]]


async def note(delivery: Delivery[Moved]) -> None:
    """An effect without any care: each delivery has it."""
    values = {
        "handler": delivery.handler_name,
        "event_id": delivery.event_id,
        "aggregate_id": delivery.aggregate_id,
        "number": delivery.payload.number,
    }
    await delivery.resources.database.execute(INSERT_EFFECT, values)


async def note_once(delivery: Delivery[Moved]) -> None:
    async with delivery.once() as is_new:
        if is_new:
            await note(delivery)


def hears(name: str, run: Run = note_once, *, event: Event[Moved] = MOVED, retries: int = 10) -> Subscriber[Moved]:
    return Subscriber(event, name, run, retries=retries)


@dataclass
class Bench:
    """A relay and two workers that are stepped; `hints` are those of all of them."""

    resources: Resources
    registry: Registry
    hints: Hints = field(default_factory=Hints)

    def __post_init__(self) -> None:
        self.relay = Relay(self.resources, self.registry, self.hints)
        self.workers = [Runner(self.resources, self.registry, self.hints, name) for name in ("one", "two")]

    @property
    def db(self) -> Database:
        return self.resources.database

    async def publish(self, aggregate_id: UUID, *numbers: int, event: Event[Moved] = MOVED) -> list[UUID]:
        """Each in a transaction of its own."""
        ids = []
        for number in numbers:
            async with self.db.transaction():
                ids.append(await self.resources.queue.publish(event, aggregate_id, Moved(number)))
        return ids

    async def work(self) -> int:
        """Step both workers in turns until neither finds anything that is due."""
        total = 0
        while done := sum([await worker.run_once() for worker in self.workers]):
            total += done
        return total

    async def effects(self, handler: str | None = None) -> list[int]:
        """The numbers, in the order in which they were written."""
        rows = await self.db.fetch_all("SELECT handler, number FROM effects ORDER BY place")
        return [row["number"] for row in rows if handler in {None, row["handler"]}]

    async def waiting(self) -> int:
        return int(str(await self.db.fetch_val("SELECT count(*) FROM outbox WHERE processed_at IS NULL")))


@asynccontextmanager
async def bench(
    settings: TestSettings, *subscribers: Subscriber[Moved], overrides: tuple[str, ...] = (), events: Events = ()
) -> AsyncIterator[Bench]:
    """Without a wait before retries; `events` are those that nobody subscribes."""
    async with open_resources(settings("worker.retry_delay=0", *overrides), Lifecycle()) as resources:
        await resources.database.execute(EFFECTS)
        yield Bench(resources, Registry(subscribers=subscribers, events=events))
