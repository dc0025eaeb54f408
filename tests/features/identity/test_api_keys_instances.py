"""Keys that end, with two instances of the service: each refuses them within a second, and closes their sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import InvalidStatus

from app.core.database import Database
from app.feature import registry_of
from app.features.identity import feature
from tests.features.identity.keys import Key, give_key
from tests.features.identity.people import API, PATIENT, Person, make_person, signed_in
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp, StartWorker
from tests.harness.talking import Talk, talking
from tests.harness.waiting import eventually, lateness

WITHIN = 1.0  # seconds, by which every instance has to know
SCOPE = ("tasks:read", "realtime:connect")


@pytest.fixture
async def both(app_process: StartApp) -> list[AppProcess]:
    """Reviews are an hour apart: what closes a socket here is the word of the other instance, or its own clock."""
    apps = await asyncio.gather(*(app_process("websocket.review_interval=3600", PATIENT) for _ in range(2)))
    await eventually(lambda: all(app.events("realtime_connected") for app in apps), within=30)
    return list(apps)


@pytest.fixture
async def root(db: Database) -> Person:
    return await make_person(db, role="admin")


async def statuses(both: list[AppProcess], key: Key) -> list[int]:
    answers = [await app.http.get(f"{API}/tasks", headers=key.bearer) for app in both]
    return [each.status_code for each in answers]


@asynccontextmanager
async def sockets(both: list[AppProcess], key: Key) -> AsyncIterator[list[Talk]]:
    """One on each instance."""
    first, second = both
    async with talking(first, headers=key.bearer) as one, talking(second, headers=key.bearer) as other:
        yield [one, other]


async def end_of(talk: Talk) -> tuple[int, float]:
    code, _ = await talk.ended()
    return code, time.monotonic()


@pytest.mark.alone
async def test_a_revoked_key_is_refused_at_once_and_its_sockets_closed_on_both(
    both: list[AppProcess], db: Database, root: Person
) -> None:
    """An instance that asks only at intervals would serve it for an hour here."""
    key, other = await give_key(db, root, *SCOPE), await give_key(db, root, *SCOPE)
    browser = await signed_in(both[0], db, root)

    async with sockets(both, key) as talks, talking(both[1], headers=other.bearer) as bystander:
        await bystander.next()  # that it hears the topic of its user
        before = await statuses(both, key)
        late = asyncio.create_task(lateness(0.5))
        revoked = await browser.delete(f"/api-keys/{key.id}")
        answered = time.monotonic()
        after = await statuses(both, key)
        asked = time.monotonic() - answered
        ends = [await end_of(talk) for talk in talks]
        spared = await bystander.answer("ping")

    allowed = WITHIN + max(0.0, await late)
    assert (before, revoked.status_code, after) == ([200, 200], 204, [401, 401])
    assert asked < allowed
    assert [code for code, _ in ends] == [1008, 1008]
    assert max(at for _, at in ends) - answered < allowed
    assert spared == {"type": "pong"}, "the sockets of another key of the same person stay"


@pytest.mark.alone
async def test_a_key_that_expires_is_refused_and_its_sockets_closed_on_both(
    both: list[AppProcess], db: Database, root: Person
) -> None:
    """Whoever looks at the credentials when the socket opens, and never again, keeps it for ever."""
    lifetime = 3.0
    key = await give_key(db, root, *SCOPE, ends_in=lifetime)
    made = time.monotonic()

    async with sockets(both, key) as talks:
        before = await statuses(both, key)
        ends = await asyncio.gather(*map(end_of, talks))
        after = await statuses(both, key)

    assert (before, after) == ([200, 200], [401, 401])
    assert [code for code, _ in ends] == [1008, 1008]
    # The look at clocks is once a second, so that the slowest instance is a second late, and what a busy machine adds.
    assert all(lifetime - 0.5 < at - made < lifetime + WITHIN + 0.5 for _, at in ends)


@pytest.mark.alone
async def test_a_key_that_was_rotated_without_overlap_is_over_on_both(
    both: list[AppProcess], db: Database, root: Person
) -> None:
    key = await give_key(db, root, *SCOPE)
    browser = await signed_in(both[0], db, root)

    async with sockets(both, key) as talks:
        before = await statuses(both, key)
        rotated = await browser.post(f"/api-keys/{key.id}/rotate", {"overlap_seconds": 0})
        answered = time.monotonic()
        after = await statuses(both, key)
        ends = [await end_of(talk) for talk in talks]

    assert (before, rotated.status_code, after) == ([200, 200], 201, [401, 401])
    assert [code for code, _ in ends] == [1008, 1008]
    assert max(at for _, at in ends) - answered < WITHIN
    new = Key(key.id, rotated.json()["key"])
    assert await statuses(both, new) == [200, 200]


async def test_a_key_that_was_rotated_is_over_on_both_when_its_overlap_is(
    both: list[AppProcess], db: Database, root: Person, worker: StartWorker
) -> None:
    """Its sockets were opened when it had no end: only the task that waits for the new one can tell them."""
    stepped = await worker(registry_of([feature]))
    key = await give_key(db, root, *SCOPE)
    browser = await signed_in(both[0], db, root)

    async with sockets(both, key) as talks:
        await browser.post(f"/api-keys/{key.id}/rotate", {"overlap_seconds": 3600})
        await stepped.settle()
        during = [(await talk.next())["type"] for talk in talks], [await talk.is_silent() for talk in talks]
        await db.execute("UPDATE api_keys SET expires_at = now() WHERE id = :id", {"id": key.id})
        await db.execute("UPDATE tasks SET run_at = now() WHERE task_type = 'identity.close_ended_key'")
        await stepped.settle()
        ends = [await end_of(talk) for talk in talks]

    assert during == (["subscribed"] * 2, [True, True])
    assert [code for code, _ in ends] == [1008, 1008]
    assert await statuses(both, key) == [401, 401]


async def test_no_instance_opens_a_socket_for_a_key_that_is_over(
    both: list[AppProcess], db: Database, root: Person
) -> None:
    keys = [await give_key(db, root, *SCOPE, ends_in=-1), await give_key(db, root, "tasks:read")]
    refused = []

    for app in both:
        for key in keys:
            with pytest.raises(InvalidStatus) as raised:
                async with talking(app, headers=key.bearer):
                    pass
            refused.append(raised.value.response.status_code)

    assert refused == [401, 403] * 2
