"""Authenticator apps for the tests of second factors: they hold a secret and read a clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from pyotp import TOTP

from app.core.database import Database
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.features.identity.models import Visitor
from app.features.identity.service import enrolment
from tests.features.identity.people import Person
from tests.harness.clock import FakeClock

HERE = Visitor("192.0.2.1", "a browser")
STEP = 30  # seconds


@dataclass(frozen=True)
class Authenticator:
    """Somebody's app, with the recovery codes that were written down beside it."""

    secret: str
    recovery_codes: tuple[str, ...] = ()

    def code(self, now: datetime, *, steps: int = 0) -> str:
        """What it shows; `steps` from now, with a clock that is off."""
        return TOTP(self.secret).at(now, counter_offset=steps)

    def wrong_code(self, now: datetime) -> str:
        """Six digits that are right at no time near."""
        near = {self.code(now, steps=steps) for steps in range(-3, 4)}
        return next(code for number in range(10) if (code := f"{number:06}") not in near)


@asynccontextmanager
async def timed_resources(settings: Settings, clock: FakeClock) -> AsyncIterator[Resources]:
    """All that a use case needs, with a clock that the test moves."""
    async with open_resources(settings, Lifecycle()) as opened:
        yield replace(opened, clock=clock)


async def enrol(resources: Resources, person: Person) -> Authenticator:
    """With a second factor from now on; the code that confirmed it is of the present step."""
    begun = await enrolment.begin(resources, HERE, person.id, password=person.password)
    app = Authenticator(begun.secret)
    codes = await enrolment.confirm(resources, HERE, person.id, code=app.code(resources.clock.now()))
    return replace(app, recovery_codes=tuple(codes))


async def allow_tries(db: Database, person: Person, *, tries: int) -> None:
    """So many before the first wait, for tests of what happens to the codes themselves."""
    await db.execute(
        "UPDATE second_factors SET failures = 10 - :tries, next_try_at = NULL WHERE user_id = :id",
        {"tries": tries, "id": person.id},
    )
