"""Signed callers, a task that nobody does here, and an event with two subscribers: what operators' routes need."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.queue import Event, Task
from app.feature import Feature
from app.tasks import Delivery, Subscriber
from tests.harness.signed_tokens import authenticate


@dataclass(frozen=True)
class Note:
    """What a task or an event carries."""

    text: str


async def index(_: Delivery[Note]) -> None:
    """Never called where no worker runs."""


REMIND = Task("notes.remind", Note)
WRITTEN = Event("notes.written", Note, aggregate="note")
SUBSCRIBERS = (Subscriber(WRITTEN, "search.index", index), Subscriber(WRITTEN, "feed.post", index))

feature = Feature("operated", subscribers=SUBSCRIBERS, authenticate=authenticate)
