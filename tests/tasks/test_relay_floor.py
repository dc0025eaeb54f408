"""The relay's floor: quick where a held snapshot keeps dead rows, and below everything that may still be committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from app.core.ids import new_id
from app.tasks import relay_floor, store
from app.tasks.relay_floor import RelayFloor
from app.tasks.store import Moved, Subscription
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.events import MOVED, Bench, bench, hears
from tests.tasks.events import Moved as Payload

WITHIN = 30.0  # seconds; a loaded machine, not a slow relay
SUBSCRIPTION = Subscription(MOVED.name, "a", priority=0, max_retries=3)


@pytest.fixture
def always_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look counts as a slow one, and only the first is a full one."""
    monkeypatch.setattr(relay_floor, "SLOW", -1.0)
    monkeypatch.setattr(relay_floor, "SLOW_EVENT", -1.0)
    monkeypatch.setattr(relay_floor, "FULL_LOOK", 3600.0)


@asynccontextmanager
async def publishing(house: Bench, aggregate: UUID, number: int) -> AsyncIterator[None]:
    """A transaction, of another task, that has published and is open as long as the block."""
    published, end = asyncio.Event(), asyncio.Event()

    async def publish() -> None:
        async with house.db.transaction():
            await house.resources.queue.publish(MOVED, aggregate, Payload(number))
            published.set()
            await end.wait()

    running = asyncio.create_task(publish())
    await published.wait()
    try:
        yield
    finally:
        end.set()
        await running


async def last_position(house: Bench) -> int:
    return int(str(await house.db.fetch_val("SELECT max(position) FROM outbox")))


def floor_of(house: Bench) -> int:
    return house.relay._floor.next()


async def has_risen(house: Bench, above: int) -> bool:
    await house.relay.run_once()
    return floor_of(house) > above


@pytest.mark.usefixtures("always_slow")
async def test_it_rises_past_what_was_handed_on_also_while_a_snapshot_is_held(settings: TestSettings) -> None:
    async with bench(settings, hears("a")) as house, asyncio.TaskGroup() as group:
        held, end = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with house.db.transaction(isolation="repeatable_read", readonly=True):
                await house.db.fetch_val("SELECT count(*) FROM outbox")
                held.set()
                await end.wait()

        group.create_task(hold())
        await held.wait()
        await house.publish(new_id(), 1, 2, 3)

        at = await last_position(house)
        await eventually(lambda: has_risen(house, at), within=WITHIN)
        await house.publish(new_id(), 4)

        assert await house.relay.run_once() == 1
        end.set()


@pytest.mark.usefixtures("always_slow")
async def test_it_stays_below_what_may_still_be_committed(settings: TestSettings) -> None:
    """Had it risen, the second event of the aggregate would be told before the first, or without it."""
    aggregate = new_id()
    async with bench(settings, hears("a")) as house:
        await house.publish(new_id(), 10)
        early = await last_position(house)
        async with publishing(house, aggregate, 1):
            await house.publish(new_id(), 20, 30)
            for _ in range(10):
                await house.relay.run_once()
            assert floor_of(house) <= early + 1
        await house.publish(aggregate, 2)

        assert await house.relay.run_once() == 2
        await house.work()

        assert [number for number in await house.effects() if number < 10] == [1, 2]


async def test_control_a_floor_behind_the_last_position_tells_the_second_event_first(settings: TestSettings) -> None:
    aggregate = new_id()

    async def move(house: Bench, floor: int) -> Moved:
        moved = await store.move_events(house.db, [SUBSCRIPTION], known=[MOVED.name], floor=floor)
        assert moved is not None
        await store.promote(house.db, moved.order_keys)
        return moved

    async with bench(settings, hears("a")) as house:
        async with publishing(house, aggregate, 1):
            await house.publish(new_id(), 20)
            assert (await move(house, 0)).events == 1
            floor = await last_position(house) + 1
        await house.publish(aggregate, 2)

        assert (await move(house, floor)).events == 1
        await house.work()
        assert (await move(house, 0)).events == 1
        await house.work()

        assert [number for number in await house.effects() if number < 10] == [2, 1]


@pytest.mark.usefixtures("always_slow")
async def test_what_is_put_back_below_it_is_found_by_the_next_full_look(
    settings: TestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(settings, hears("a")) as house:
        await house.publish(new_id(), 1)
        at = await last_position(house)
        await eventually(lambda: has_risen(house, at), within=WITHIN)
        await house.db.execute("UPDATE outbox SET processed_at = NULL")

        assert await house.relay.run_once() == 0
        monkeypatch.setattr(house.relay._floor, "_next_full", 0.0)

        assert await house.relay.run_once() == 1


async def test_where_looks_are_quick_there_is_none(settings: TestSettings) -> None:
    async with bench(settings) as house:
        floor = RelayFloor(house.db)
        quick = Moved(events=0, lag=0.0, tasks=0, order_keys=[], oldest_open=1 << 60)

        for _ in range(5):
            await floor.learn(0, quick, took=0.001, was_all=True)

        assert (floor.is_needed, floor.next()) == (False, 0)
