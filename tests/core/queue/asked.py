"""What the tests of this folder ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from app.core.database import Database
from app.core.queue import CHANNEL, Event, Priority, Task
from app.core.queue.waker import NOTIFY
from tests.harness.waiting import eventually


@dataclass(frozen=True)
class Greeting:
    """Whom to greet."""

    name: str
    times: int = 1


GREET = Task("test.greet", Greeting, retries=3, priority=Priority.LOW)
GREETED = Event("test.greeted", Greeting, aggregate="person")


class Ear:
    """A connection that listens as a worker does, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.heard.append(str(payload))


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Ear]:
    ear = Ear()
    connection = await asyncpg.connect(url)
    try:
        await connection.add_listener(CHANNEL, ear.hear)
        yield ear
    finally:
        await connection.close()


async def last_word(db: Database, ear: Ear, *, within: float = 20) -> None:
    """Wait until the ear has heard everything that was committed before this: notifications come in that order."""
    await db.execute(NOTIFY, {"channel": CHANNEL, "messages": ["the last word"]})
    await eventually(lambda: "the last word" in ear.heard, within=within)
    ear.heard.remove("the last word")
