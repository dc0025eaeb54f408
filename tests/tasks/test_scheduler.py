"""Each tick is enqueued once, whatever the number of workers, and however their clocks are set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from app.core.beside import beside
from app.core.clock import SystemClock
from app.core.database import Database
from app.core.queue import Queue, Task, Waker
from app.core.resources import Resources
from app.tasks import Cron, Schedule, scheduler, shared_clock, store
from app.tasks.scheduler import Scheduler
from app.tasks.shared_clock import SharedClock
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.scheduling import Nothing, ShiftedClock, enqueued, last_ticks, machine, opened, put, registry

OFTEN = registry(often="*/5 * * * *")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTES = 60.0
EIGHT = 8


@pytest.fixture
async def resources(settings: TestSettings, clock: FakeClock) -> AsyncIterator[Resources]:
    async with opened(settings("database.pool_max=10"), clock) as resources:
        yield resources


@pytest.fixture
def db(resources: Resources) -> Database:
    return resources.database


async def test_the_first_sight_of_a_schedule_runs_nothing(resources: Resources, db: Database) -> None:
    first = await Scheduler(resources, OFTEN).run_once()

    assert first == []
    assert await last_ticks(db) == {"test.often": NOON}
    assert await enqueued(db) == {}


async def test_each_tick_is_enqueued_when_it_has_come(resources: Resources, db: Database, clock: FakeClock) -> None:
    ticking = Scheduler(resources, OFTEN)
    await ticking.run_once()

    clock.advance(5 * MINUTES - 1)
    too_early = await ticking.run_once()
    clock.advance(1)
    in_time = await ticking.run_once()
    again = await ticking.run_once()

    assert (too_early, in_time, again) == ([], ["test.often"], [])
    assert await enqueued(db) == {"test.often": 1}
    assert await last_ticks(db) == {"test.often": NOON + timedelta(minutes=5)}


async def test_of_the_ticks_that_went_by_the_last_one_is_made_up_for(
    resources: Resources, db: Database, clock: FakeClock
) -> None:
    await Scheduler(resources, OFTEN).run_once()
    clock.advance(3 * 24 * 60 * MINUTES + 7 * MINUTES)

    another = Scheduler(resources, OFTEN)
    first, second = await another.run_once(), await another.run_once()

    assert (first, second) == (["test.often"], [])
    assert await last_ticks(db) == {"test.often": datetime(2030, 1, 4, 12, 5, tzinfo=UTC)}


async def test_schedules_do_not_wait_for_one_another(resources: Resources, db: Database, clock: FakeClock) -> None:
    both = Scheduler(resources, registry(often="*/5 * * * *", rarely="30 13 * * *"))
    await both.run_once()

    enqueued_at = []
    for _ in range(24):
        clock.advance(5 * MINUTES)
        enqueued_at.append(sorted(await both.run_once()))

    assert enqueued_at.count(["test.often"]) == 23
    assert enqueued_at[17] == ["test.often", "test.rarely"]
    assert await enqueued(db) == {"test.often": 24, "test.rarely": 1}


async def test_it_is_logged_and_counted(resources: Resources, clock: FakeClock) -> None:
    resources.metrics.tasks.know([], ["test.often"])
    ticking = Scheduler(resources, OFTEN)
    await ticking.run_once()
    clock.advance(5 * MINUTES)

    with capture_logs() as logs:
        await ticking.run_once()

    assert {
        "event": "schedule_ticked",
        "log_level": "info",
        "schedule": "test.often",
        "task_type": "test.often",
        "tick": "2030-01-01T12:05:00+00:00",
    } in logs
    assert resources.metrics.registry.get_sample_value("plinth_schedules_ticks_total", {"schedule": "test.often"}) == 1


def test_a_payload_of_another_class_is_refused_where_it_is_declared() -> None:
    with pytest.raises(TypeError, match=r"test\.often takes Nothing, not str"):
        Schedule("test.often", Cron("* * * * *"), Task("test.often", Nothing), "text")  # type: ignore[misc]


async def test_a_schedule_moves_forward_only_but_for_one_that_is_far_ahead(db: Database) -> None:
    """Whoever is late, with the tick before the last or with the same one, changes nothing."""
    hour = timedelta(hours=1)
    ticks = [NOON, NOON, NOON + hour, NOON + hour, NOON, NOON - 2 * hour, NOON - hour]

    steps = []
    for tick in ticks:
        async with db.transaction():
            latest = NOON - hour if tick == NOON - 2 * hour else tick + 2 * hour
            steps.append(await store.advance_schedule(db, "test.often", tick=tick, latest=latest))

    step = store.Step
    assert steps == [step.FIRST_SEEN, step.NONE, step.DUE, step.NONE, step.NONE, step.SET_BACK, step.DUE]
    assert await last_ticks(db) == {"test.often": NOON - hour}


async def test_eight_schedulers_at_once_enqueue_each_tick_once(
    resources: Resources, db: Database, clock: FakeClock
) -> None:
    known = registry(often="*/5 * * * *", too="*/5 * * * *")
    eight = [Scheduler(resources, known) for _ in range(EIGHT)]
    firsts = await asyncio.gather(*(each.run_once() for each in eight))

    for ticks in range(1, 21):
        clock.advance(5 * MINUTES)
        names = [name for each in await asyncio.gather(*(each.run_once() for each in eight)) for name in each]
        assert sorted(names) == ["test.often", "test.too"]
        assert await enqueued(db) == {"test.often": ticks, "test.too": ticks}

    assert firsts == [[]] * EIGHT


async def test_without_the_row_that_moves_all_eight_of_them_would(
    resources: Resources, db: Database, clock: FakeClock
) -> None:
    """The control: what looks first and writes then finds the same as seven others, under the same test."""
    await Scheduler(resources, OFTEN).run_once()
    clock.advance(5 * MINUTES)
    [schedule] = OFTEN.schedules
    everybody_looked = asyncio.Barrier(EIGHT)

    async def naive() -> None:
        tick = schedule.cron.last_until(clock.now())
        async with db.transaction():
            last = (await store.select_ticks(db, [schedule.name]))[schedule.name]
            await everybody_looked.wait()
            if last < tick:
                values = {"tick": tick, "name": schedule.name}
                await db.execute("UPDATE schedules SET last_tick = :tick WHERE name = :name", values)
                await resources.queue.enqueue(schedule.task, schedule.payload)

    await asyncio.gather(*(naive() for _ in range(EIGHT)))

    assert await enqueued(db) == {"test.often": EIGHT}


class HaltingQueue(Queue):
    """Stops in the middle: the row is moved, nothing is enqueued, nothing committed."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, Waker(db))
        self.is_reached = asyncio.Event()

    async def enqueue(self, *args: Any, **options: Any) -> UUID | None:  # noqa: ARG002
        self.is_reached.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody goes on from here")


async def test_one_that_is_cancelled_in_the_middle_leaves_its_tick_to_another(
    resources: Resources, db: Database, clock: FakeClock
) -> None:
    await Scheduler(resources, OFTEN).run_once()
    clock.advance(5 * MINUTES)
    halting = HaltingQueue(db)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    doomed = asyncio.create_task(Scheduler(replace(resources, queue=halting), OFTEN).run_once())
    await halting.is_reached.wait()
    others = [asyncio.create_task(Scheduler(resources, OFTEN).run_once()) for _ in range(EIGHT - 1)]
    await eventually(lambda: _is(db, waiting, EIGHT - 1), within=20)
    doomed.cancel()
    names = [name for each in await asyncio.gather(*others) for name in each]

    with pytest.raises(asyncio.CancelledError):
        await doomed
    assert names == ["test.often"]
    assert await enqueued(db) == {"test.often": 1}


async def _is(db: Database, query: str, number: int) -> bool:
    return bool(await db.fetch_val(query) == number)


async def test_cancelled_anywhere_they_neither_double_nor_lose_a_tick(
    resources: Resources, db: Database, clock: FakeClock
) -> None:
    eight = [Scheduler(resources, OFTEN) for _ in range(EIGHT)]
    await eight[0].run_once()

    cancelled = 0
    for ticks in range(1, 25):
        clock.advance(5 * MINUTES)
        looks = [asyncio.create_task(each.run_once()) for each in eight]
        for look in looks[:-1]:
            await asyncio.sleep(0.0005 * (ticks % 8))
            look.cancel()
        ends = await asyncio.gather(*looks, return_exceptions=True)
        cancelled += sum(isinstance(end, asyncio.CancelledError) for end in ends)
        assert await enqueued(db) == {"test.often": ticks}

    assert cancelled >= 24


@pytest.mark.parametrize("shift", [timedelta(minutes=12), -timedelta(minutes=12), timedelta(days=3650)])
async def test_a_machine_with_a_wrong_clock_keeps_the_time_of_the_others(
    resources: Resources, db: Database, shift: timedelta
) -> None:
    """The database's, that is: no tick is early, so that none is passed over; and none is late."""
    cron = OFTEN.schedules[0].cron
    before = await store.select_now(db)
    await put(db, cron.last_until(before) - timedelta(minutes=5))
    shifts = [shift, timedelta(0), shift, timedelta(0)]

    looks = [machine(resources, OFTEN, each).run_once() for each in shifts]
    names = [name for each in await asyncio.gather(*looks) for name in each]
    again = await machine(resources, OFTEN, shift).run_once()

    after = await store.select_now(db)
    last = (await last_ticks(db))["test.often"]
    if cron.last_until(before) == cron.last_until(after):  # else another tick has come meanwhile
        assert (names, again) == (["test.often"], [])
    assert cron.last_until(before) <= last <= after


async def test_without_the_comparison_a_wrong_clock_would_pass_ticks_over(resources: Resources, db: Database) -> None:
    """The control: a clock that nobody holds against the database's moves the schedule past ticks to come."""
    await put(db, datetime.now(UTC) - timedelta(minutes=10))

    names = await Scheduler(replace(resources, clock=ShiftedClock(timedelta(days=3650))), OFTEN).run_once()

    assert names == ["test.often"]
    assert (await last_ticks(db))["test.often"] > await store.select_now(db) + timedelta(days=3000)


async def test_a_wrong_clock_is_said_once_and_when_it_is_right_again(db: Database) -> None:
    clock = ShiftedClock(timedelta(minutes=12))
    shared = SharedClock(db, clock, clock)

    with capture_logs() as logs:
        await shared.compare()
        await shared.compare()
        differing = shared.now() - datetime.now(UTC)
        clock.ahead = timedelta(0)
        await shared.compare()
        agreeing = shared.now() - datetime.now(UTC)

    said = [entry for entry in logs if entry["event"].startswith("clock_")]
    assert [entry["event"] for entry in said] == ["clock_differs", "clock_agrees"]
    assert said[0]["ahead"] == pytest.approx(720, abs=30)
    assert max(abs(differing), abs(agreeing)) < timedelta(seconds=30)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), -timedelta(hours=1)])
@pytest.mark.parametrize(("there", "back"), [(4.0, 0.0), (0.0, 4.0), (2.0, 2.0)])
async def test_a_wrong_clock_is_never_ahead_of_the_database_once_it_was_compared(
    db: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, ahead: timedelta, there: float, back: float
) -> None:
    """On the way a connection may have to be waited for, and the answer may take its time: late, but never early."""

    async def select_slowly(_db: Database) -> datetime:
        clock.advance(there)
        theirs = clock.now() - ahead
        clock.advance(back)
        return theirs

    monkeypatch.setattr(shared_clock, "select_now", select_slowly)
    shared = SharedClock(db, clock, clock)

    await shared.compare()

    late = clock.now() - ahead - shared.now()
    assert late == timedelta(seconds=back)


async def test_a_row_in_the_far_future_does_not_silence_its_schedule(
    resources: Resources, db: Database, clock: FakeClock
) -> None:
    await put(db, datetime(2099, 1, 1, tzinfo=UTC))
    eight = [Scheduler(resources, OFTEN) for _ in range(EIGHT)]

    with capture_logs() as logs:
        firsts = await asyncio.gather(*(each.run_once() for each in eight))
    clock.advance(5 * MINUTES)
    names = [name for each in await asyncio.gather(*(each.run_once() for each in eight)) for name in each]

    assert firsts == [[]] * EIGHT
    assert [entry["event"] for entry in logs].count("schedule_set_back") == 1
    assert names == ["test.often"]


async def test_a_clock_that_steps_back_a_little_repeats_nothing(
    resources: Resources, db: Database, clock: FakeClock
) -> None:
    await put(db, NOON + timedelta(minutes=30))
    ticking = Scheduler(resources, OFTEN)

    names = []
    for _ in range(7):
        names.append(await ticking.run_once())
        clock.advance(5 * MINUTES)

    assert names == [[]] * 7
    assert await ticking.run_once() == ["test.often"]


async def test_it_wakes_at_the_tick_and_not_at_its_next_look(resources: Resources, db: Database) -> None:
    now = datetime.now(UTC)
    clock = ShiftedClock(now.replace(second=59, microsecond=500_000) - now)
    tick = clock.now().replace(second=0, microsecond=0)
    await put(db, tick)

    async with beside(Scheduler(replace(resources, clock=clock), registry(often="* * * * *")).run(), name="scheduler"):
        await eventually(lambda: _has_enqueued(db), within=scheduler.LONGEST_SLEEP - 5)

    assert (await last_ticks(db))["test.often"] > tick


async def _has_enqueued(db: Database) -> bool:
    return (await enqueued(db))["test.often"] > 0


async def test_a_clock_that_is_set_while_it_sleeps_is_noticed(
    resources: Resources, db: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LONGEST_SLEEP", 0.02)
    daily = registry(often="0 0 * * *")

    async with beside(Scheduler(resources, daily).run(), name="scheduler"):
        await eventually(lambda: last_ticks(db), within=20)
        clock.advance(12 * 60 * MINUTES)
        await eventually(lambda: _has_enqueued(db), within=20)

    assert await enqueued(db) == {"test.often": 1}


async def test_without_schedules_the_database_is_left_alone(settings: TestSettings) -> None:
    async with opened(settings(), SystemClock()) as resources:
        await resources.database.disconnect()

        assert await Scheduler(resources, registry()).run_once() == []
