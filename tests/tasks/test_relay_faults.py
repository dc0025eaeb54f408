"""Events while relays are killed and frozen: none is lost, none comes twice, and those of an aggregate are in order."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random
from uuid import UUID

import pytest

from app.core.beside import beside
from app.core.ids import new_id
from app.tasks.hints import Hints
from app.tasks.listener import Listener
from app.tasks.runner import Runner
from tests.harness.processes import alive, kill, stalled
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.events import MOVED, Bench, Moved, bench, hears
from tests.tasks.producers import Producers, check_effects
from tests.tasks.relay_process import open_relays

LONG = bool(os.environ.get("PLINTH_LONG"))

pytestmark = pytest.mark.timeout(3600 if LONG else 400)

WITHIN = 600.0 if LONG else 300.0  # seconds; a loaded machine, not a slow relay
EVENTS, KILLS = (20_000, 50) if LONG else (1_500, 5)
HANDLERS = ("a", "b")
LIMITS = ("lock_timeout", "statement_timeout", "command_timeout")
PATIENT = ("database.pool_max=40", *(f"database.{limit}={WITHIN}" for limit in LIMITS))

LATER_IS_MARKED = """
SELECT EXISTS (
    SELECT FROM outbox WHERE processed_at IS NOT NULL AND position > (SELECT position FROM outbox WHERE id = :id))
"""
COUNT_MARKED = "SELECT count(*) FROM outbox WHERE processed_at IS NOT NULL"
COUNT_LEFT = "SELECT (SELECT count(*) FROM outbox WHERE processed_at IS NULL) + (SELECT count(*) FROM tasks)"
SELECT_EFFECTS = "SELECT handler, aggregate_id, event_id FROM effects ORDER BY place"
INSERT_WITHOUT_LOCK = """
INSERT INTO outbox (id, aggregate_type, aggregate_id, event_type, payload)
VALUES (:id, 'thing', :aggregate_id, 'test.moved', '{"number": 1}')
"""


async def count(house: Bench, query: str) -> int:
    return int(str(await house.db.fetch_val(query)))


@asynccontextmanager
async def working(house: Bench) -> AsyncIterator[None]:
    """Two workers in this process; events come to them from relays elsewhere."""
    hints = Hints()
    workers = [Runner(house.resources, house.registry, hints, f"worker {number}") for number in (1, 2)]
    async with (
        beside(Listener(house.resources, hints).run(), name="listener"),
        beside(workers[0].run(), name="one"),
        beside(workers[1].run(), name="two"),
    ):
        yield
        for worker in workers:
            worker.stop_claiming()
            await worker.finish(WITHIN)


async def kill_again_and_again(house: Bench, settings: TestSettings, producers: Producers) -> list[int]:
    """Each relay is killed somewhere in the middle of a part of the events; gives how many it had moved by then."""
    random, part = Random(5), EVENTS // (KILLS + 1)  # noqa: S311  (no secret)
    done: list[int] = []
    async with open_relays(settings) as relays:
        for number in range(KILLS):
            # Each second one searches from its floor.
            pid = await relays.start("floor" if number % 2 else "plain")
            before = await count(house, COUNT_MARKED)
            producers.allowed = part * (number + 1)
            wanted = before + random.randint(1, part * 2 // 3)
            await eventually(partial(marked, house, wanted), within=WITHIN)
            kill(pid)
            await eventually(partial(is_gone, pid), within=WITHIN)
            assert len(producers.ledger.committed) < EVENTS
            done.append(await count(house, COUNT_MARKED) - before)
        producers.allowed = EVENTS
        await relays.start()
        await eventually(lambda: len(producers.ledger.committed) >= EVENTS, within=WITHIN)
        await eventually(lambda: none_left(house), within=WITHIN)
    return done


async def marked(house: Bench, at_least: int) -> bool:
    return await count(house, COUNT_MARKED) >= at_least


def is_gone(pid: int) -> bool:
    return not alive(pid)


async def none_left(house: Bench) -> bool:
    return await count(house, COUNT_LEFT) == 0


@pytest.mark.fault
async def test_events_of_twelve_producers_take_effect_once_and_in_order_while_relays_are_killed(
    settings: TestSettings, figure: Callable[[str], None]
) -> None:
    began = time.monotonic()
    async with bench(settings, *map(hears, HANDLERS), overrides=PATIENT) as house, working(house):

        async def passed(event_id: UUID) -> bool:
            return bool(await house.db.fetch_val(LATER_IS_MARKED, {"id": event_id}))

        producers = Producers(house.db, house.resources.queue, passed, count=EVENTS, allowed=0)
        async with asyncio.TaskGroup() as group:
            group.create_task(producers.run())
            killed = group.create_task(kill_again_and_again(house, settings, producers))
        rows = await house.db.fetch_all(SELECT_EFFECTS)

    ledger = producers.ledger
    figure(
        f"events: {len(ledger.committed)} committed, {len(ledger.rolled_back)} rolled back, {ledger.long} passed by "
        f"later ones, {KILLS} relays killed, {len(rows)} effects, {time.monotonic() - began:.1f} s"
    )
    assert len(killed.result()) == KILLS
    assert min(killed.result()) > 0
    assert ledger.long
    assert ledger.rolled_back
    check_effects(ledger, [(row["handler"], row["aggregate_id"], row["event_id"]) for row in rows], HANDLERS)


class NaiveRelay:
    """Remembers how far it has come, and asks for what is behind that."""

    def __init__(self, house: Bench) -> None:
        self._house = house
        self.seen: set[UUID] = set()
        self.last = 0

    async def look(self) -> None:
        query = "SELECT id, position FROM outbox WHERE position > :last ORDER BY position"
        for row in await self._house.db.fetch_all(query, {"last": self.last}):
            self.seen.add(row["id"])
            self.last = row["position"]

    async def run(self) -> None:
        while True:
            await self.look()

    async def passed(self, event_id: UUID) -> bool:
        position = await self._house.db.fetch_val("SELECT position FROM outbox WHERE id = :id", {"id": event_id})
        return self.last > int(str(position))


async def test_control_a_relay_that_remembers_a_position_loses_events_of_the_same_producers(
    settings: TestSettings, figure: Callable[[str], None]
) -> None:
    events = 500
    async with bench(settings, overrides=PATIENT) as house:
        naive = NaiveRelay(house)
        producers = Producers(house.db, house.resources.queue, naive.passed, count=events, allowed=events)

        async with beside(naive.run(), name="naive"):
            await producers.run()
        await naive.look()

    lost = producers.ledger.committed.keys() - naive.seen
    figure(f"naive relay: {len(lost)} of {len(producers.ledger.committed)} events lost")
    assert lost


@pytest.mark.parametrize("is_locked", [True, False], ids=["publish", "control: without the lock"])
async def test_the_order_of_an_aggregate_is_that_of_its_commits(settings: TestSettings, is_locked: bool) -> None:
    """Two transactions at once: the first to publish is not the first to be ready, unless the second has to wait."""
    aggregate, commits = new_id(), list[str]()
    ids = {"first": new_id(), "second": new_id()}

    async def publish(house: Bench, name: str) -> None:
        if is_locked:
            ids[name] = await house.resources.queue.publish(MOVED, aggregate, Moved(1))
        else:
            await house.db.execute(INSERT_WITHOUT_LOCK, {"id": ids[name], "aggregate_id": aggregate})

    async def second(house: Bench, is_published: asyncio.Event) -> None:
        await is_published.wait()
        async with house.db.transaction():
            await publish(house, "second")
        commits.append("second")

    async with bench(settings, hears("a"), overrides=PATIENT) as house:
        is_published = asyncio.Event()
        another = asyncio.create_task(second(house, is_published))
        async with house.db.transaction():
            await publish(house, "first")
            is_published.set()
            await eventually(lambda: _waits_or_is_over(house, another), within=WITHIN)
            commits.append("first")
        await another
        await house.relay.run_once()
        await house.work()

        rows = await house.db.fetch_all(SELECT_EFFECTS)
        names = {event_id: name for name, event_id in ids.items()}
        effects = [names[row["event_id"]] for row in rows]

    assert sorted(effects) == ["first", "second"]
    assert (effects == commits) is is_locked


async def _waits_or_is_over(house: Bench, another: asyncio.Task[None]) -> bool:
    query = """
        SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
        WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"""
    return another.done() or await count(house, query) == 1


@pytest.mark.fault
async def test_a_relay_that_freezes_in_its_statement_holds_up_nobody(settings: TestSettings) -> None:
    """Between BEGIN and COMMIT it would keep the turn until PostgreSQL gives its connection up."""
    waiting = """
        SELECT count(*) FROM pg_stat_activity
        WHERE query LIKE '%plinth:relay%' AND wait_event_type = 'Lock' AND datname = current_database()"""
    aggregate = new_id()
    async with bench(settings, *map(hears, HANDLERS)) as house, AsyncExitStack() as stack:
        [event_id] = await house.publish(aggregate, 1)
        async with house.db.transaction():
            await house.db.execute("SELECT id FROM outbox WHERE id = :id FOR UPDATE", {"id": event_id})
            relays = await stack.enter_async_context(open_relays(settings))
            pid = await relays.start()
            await eventually(lambda: _is(house, waiting, 1), within=WITHIN)
            stack.enter_context(stalled(pid))
        await house.publish(aggregate, 2)

        await eventually(lambda: _relays(house), within=WITHIN)
        await house.work()

        assert await house.effects("a") == [1, 2]


async def _is(house: Bench, query: str, number: int) -> bool:
    """Outside of the transaction, in which PostgreSQL shows the activity of its beginning for ever."""
    async with house.db.detached() as connection:
        return bool(await connection.fetch_val(query) == number)


async def _relays(house: Bench) -> bool:
    await house.relay.run_once()
    return await house.waiting() == 0
