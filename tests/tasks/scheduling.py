"""Schedulers as several machines have them, each with a clock of its own, on one database."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from app.core.clock import Clock
from app.core.database import Database
from app.core.lifecycle import Lifecycle
from app.core.queue import Task
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.tasks import Cron, Handler, Registry, Schedule, Work
from app.tasks.scheduler import Scheduler


@dataclass(frozen=True)
class Nothing:
    """No payload."""


class ShiftedClock:
    """A machine's clock, which is ahead or behind."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return 0.0


async def do_nothing(work: Work[Nothing]) -> None:
    """Nothing."""


def registry(**crons: str) -> Registry:
    """One schedule for each: `registry(often="* * * * *")` asks for the task `test.often`."""
    tasks = {name: Task(f"test.{name}", Nothing) for name in crons}
    return Registry(
        handlers=[Handler(task, do_nothing) for task in tasks.values()],
        schedules=[Schedule(f"test.{name}", Cron(cron), tasks[name], Nothing()) for name, cron in crons.items()],
    )


@asynccontextmanager
async def opened(settings: Settings, clock: Clock) -> AsyncIterator[Resources]:
    async with open_resources(settings, Lifecycle()) as resources:
        yield replace(resources, clock=clock)


def machine(resources: Resources, known: Registry, ahead: timedelta) -> Scheduler:
    """One whose clock is wrong."""
    clock = ShiftedClock(ahead)
    return Scheduler(replace(resources, clock=clock), known, machine=clock)


async def enqueued(db: Database) -> Counter[str]:
    """How many of each type there are."""
    rows = await db.fetch_all("SELECT task_type, count(*) AS number FROM tasks GROUP BY 1")
    return Counter({row["task_type"]: row["number"] for row in rows})


async def last_ticks(db: Database) -> dict[str, datetime]:
    return {row["name"]: row["last_tick"] for row in await db.fetch_all("SELECT name, last_tick FROM schedules")}


async def put(db: Database, last_tick: datetime, names: Sequence[str] = ("test.often",)) -> None:
    """As if the schedules had come this far."""
    for name in names:
        values = {"name": name, "tick": last_tick}
        await db.execute("DELETE FROM schedules WHERE name = :name", {"name": name})
        await db.execute("INSERT INTO schedules (name, last_tick) VALUES (:name, :tick)", values)
