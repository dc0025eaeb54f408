"""Floors: where a search begins while a held snapshot keeps every dead row; and that nothing is passed over by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.core.ids import new_id
from app.core.queue import Task
from app.core.resources import Resources
from app.core.settings.sections.worker import Worker
from app.tasks import Handler, Registry, Work, floors
from app.tasks.backoff import retry_delay
from app.tasks.floors import LEASE_MARGIN, MARGIN, Floors, LeaseFloor
from app.tasks.runner import Rate
from app.tasks.store import Claimed
from app.tasks.store.claiming import ALWAYS
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.runners import Number, ended, enqueue, opened, runner_of, running

TASK = Task("test.work", Number)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings()) as found:
        yield found


def claimed(run_at: datetime = NOW) -> Claimed:
    return Claimed(new_id(), TASK.name, {}, 0, 0, 5, 0, 1, run_at, None, {}, 0.0)


def test_while_claims_are_quick_they_begin_at_the_beginning() -> None:
    found = Floors()

    found.learn([claimed()], seconds=0.001, was_full=True)

    assert found.of(TASK.name, 0) == ALWAYS


def test_after_a_slow_claim_the_next_begins_where_that_ended_but_for_a_margin() -> None:
    found = Floors()

    found.learn([claimed(), claimed(NOW + timedelta(seconds=9))], seconds=0.5, was_full=True)

    assert found.of(TASK.name, 0) == NOW + timedelta(seconds=9) - MARGIN
    assert found.of(TASK.name, 1) == ALWAYS  # of this lane nothing was claimed


def test_a_full_look_is_due_by_itself_and_a_quick_one_ends_the_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "FULL_LOOK", 0.0)
    monkeypatch.setattr(floors, "SHARE", 0.0)
    found = Floors()

    found.learn([claimed()], seconds=0.5, was_full=True)

    assert found.is_full_due
    assert found.of(TASK.name, 0) == ALWAYS
    found.learn([], seconds=0.001, was_full=True)
    assert not found.is_slow


def test_the_floor_of_the_rescue_follows_the_looks_and_not_the_clock() -> None:
    found = LeaseFloor()
    assert found.next() == ALWAYS

    found.learn(ALWAYS, NOW, seconds=0.5)
    first = found.next()
    found.learn(first, None, seconds=0.5)  # this one has left some behind
    second = found.next()
    found.learn(second, NOW + timedelta(seconds=5), seconds=0.5)

    assert first == second == NOW - LEASE_MARGIN
    assert found.next() == NOW + timedelta(seconds=5) - LEASE_MARGIN


async def test_a_task_below_the_floor_is_found_by_the_next_full_look(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for long ago in a transaction that commits only now, and every claim counts as slow."""
    monkeypatch.setattr(floors, "SLOW", -1.0)
    monkeypatch.setattr(floors, "SLOW_PER_TASK", 0.0)
    done: list[int] = []

    async def run(work: Work[Number]) -> None:
        done.append(work.payload.number)

    async with running(runner_of(resources, Registry([Handler(TASK, run)]))):
        await enqueue(resources, TASK, range(100))
        await eventually(lambda: len(done) == 100, within=30)
        async with resources.database.transaction():
            await resources.queue.enqueue(TASK, Number(100), run_at=datetime.now(UTC) - timedelta(hours=1))
        await eventually(lambda: 100 in done, within=30)


async def test_no_op_tasks_also_while_a_snapshot_is_held(settings: TestSettings, figure: Callable[[str], None]) -> None:
    """Figures only: what this machine does besides is not known here."""
    async with opened(settings("database.idle_in_transaction_timeout=600")) as resources:
        free = await throughput(resources, 3000)
        async with resources.database.transaction(isolation="repeatable_read"):
            await resources.database.fetch_val("SELECT count(*) FROM finished_tasks")
            held = await throughput_beside(settings, 3000)

    figure(f"tasks: {free:.0f} no-ops a second with one runner, {held:.0f} while a snapshot is held")


async def throughput_beside(settings: TestSettings, count: int) -> float:
    async with opened(settings()) as resources:
        return await throughput(resources, count)


async def throughput(resources: Resources, count: int) -> float:
    """Of tasks that wait already: from the first claim to the last end that is stored."""
    before = len(await ended(resources))

    async def run(_work: Work[Number]) -> None:
        return

    async def all_ended() -> bool:
        return bool(await resources.database.fetch_val("SELECT count(*) = 0 FROM tasks"))

    await enqueue(resources, TASK, range(count))
    began = resources.clock.monotonic()
    async with running(runner_of(resources, Registry([Handler(TASK, run)]))):
        await eventually(all_ended, within=120)
    seconds = resources.clock.monotonic() - began
    assert len(await ended(resources)) - before == count
    return count / seconds


def test_retries_wait_longer_each_time_up_to_a_bound_and_not_all_the_same() -> None:
    settings = Worker(retry_delay=2.0, retry_delay_max=100.0)

    delays = {failures: [retry_delay(settings, failures) for _ in range(200)] for failures in (0, 1, 4, 5, 5000)}

    assert all(1.5 <= delay <= 2.5 for delay in delays[0])
    assert all(3.0 <= delay <= 5.0 for delay in delays[1])
    assert all(24 <= delay <= 40 for delay in delays[4])
    assert all(48 <= delay <= 80 for delay in delays[5])
    assert set(delays[5000]) <= {100.0} | {delay for delay in delays[5000] if delay >= 75}
    assert len(set(delays[0])) > 100


def test_nothing_is_claimed_ahead_before_it_is_known_how_fast_it_goes() -> None:
    rate = Rate()

    assert rate.ahead == 0
    rate.count = 1_000_000
    rate.measure()
    rate.count = 1_000_000
    assert rate.ahead > 0
    rate.forget()
    assert rate.ahead == 0
