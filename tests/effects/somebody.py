"""What the cases of sign-in share: everything open, with somebody there, and nothing left of them afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.features.identity.models import Visitor
from app.features.identity.service.sign_in import Proven, prove_password
from tests.effects.case import Trial
from tests.features.identity.people import Person, make_person

VISITOR = Visitor("192.0.2.7", "a test")
OLD, NEW = "the-secret-that-was-there-before!", "the-secret-that-is-in-force-by-now"
TABLES = ("users", "registrations", "outbox", "tasks")  # with users goes all that is theirs


@asynccontextmanager
async def opened(trial: Trial, *stage: str) -> AsyncIterator[Resources]:
    """Under the value on trial."""
    async with open_resources(trial.settings("redis.timeout=30", *stage), Lifecycle()) as resources:
        try:
            yield resources
        finally:
            for table in TABLES:
                await resources.database.execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)
            await resources.redis.execute("FLUSHDB")  # of this worker's own: the next trial begins with nothing counted


@asynccontextmanager
async def somebody(trial: Trial, *stage: str) -> AsyncIterator[tuple[Resources, Person]]:
    async with opened(trial, *stage) as resources:
        yield resources, await make_person(resources.database)


async def proven(resources: Resources, person: Person) -> Proven:
    return await prove_password(resources, VISITOR, email=person.email, password=person.password)
