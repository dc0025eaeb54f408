"""There is always an administrator, whatever two of them do at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.database import Database
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.features.identity.errors import LastAdmin
from app.features.identity.models import Role
from app.features.identity.service.users import UserChange, change_user
from tests.features.identity.people import Person, make_person
from tests.harness.settings import TestSettings

DEMOTED, DEACTIVATED = UserChange(role=Role.USER), UserChange(is_active=False)
ADMINS = "SELECT count(*) FROM users WHERE role = 'admin' AND is_active"


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings("database.pool_max=10"), Lifecycle()) as opened:
        yield opened


async def outcome(resources: Resources, by: Person, whom: Person, change: UserChange) -> str:
    try:
        await change_user(resources, whom.id, change, by=by.id)
    except LastAdmin:
        return "refused"
    return "done"


@pytest.mark.parametrize("second", [DEMOTED, DEACTIVATED])
async def test_of_two_administrators_who_take_it_from_each_other_one_stays(
    resources: Resources, db: Database, second: UserChange
) -> None:
    for _ in range(10):
        await db.execute("DELETE FROM users")
        ada, bob = await make_person(db, role="admin"), await make_person(db, role="admin")

        ended = await asyncio.gather(outcome(resources, ada, bob, DEMOTED), outcome(resources, bob, ada, second))

        assert sorted(ended) == ["done", "refused"]
        assert await db.fetch_val(ADMINS) == 1


async def test_of_many_who_do_it_at_once_one_stays(resources: Resources, db: Database) -> None:
    admins = [await make_person(db, role="admin") for _ in range(8)]

    ended = await asyncio.gather(*(outcome(resources, admins[0], each, DEMOTED) for each in admins))

    assert ended.count("refused") == 1
    assert await db.fetch_val(ADMINS) == 1


async def test_counting_without_a_lock_would_leave_none(db: Database) -> None:
    """The control: what the lock is for."""
    ada, bob = await make_person(db, role="admin"), await make_person(db, role="admin")
    both_have_counted = asyncio.Barrier(2)

    async def naive(whom: Person) -> None:
        async with db.transaction():
            others = await db.fetch_val(f"{ADMINS} AND id <> :id", {"id": whom.id})
            await both_have_counted.wait()
            if others:
                await db.execute("UPDATE users SET role = 'user' WHERE id = :id", {"id": whom.id})

    await asyncio.gather(naive(ada), naive(bob))

    assert await db.fetch_val(ADMINS) == 0


async def test_an_administrator_who_can_not_sign_in_does_not_count(resources: Resources, db: Database) -> None:
    ada = await make_person(db, role="admin")
    away = await make_person(db, role="admin", active=False)
    await make_person(db, role="admin", verified=False)

    ended = [
        await outcome(resources, ada, ada, DEMOTED),
        await outcome(resources, ada, ada, DEACTIVATED),
        await outcome(resources, ada, away, DEMOTED),
    ]

    assert ended == ["refused", "refused", "done"]
