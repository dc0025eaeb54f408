"""Deadlines end what is late as `asyncio.timeout` does, with a timer for all of them together."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, suppress

import pytest

from app.core.deadlines import Deadlines
from tests.harness.forgetting import is_forgotten
from tests.harness.waiting import eventually

SHORT, LONG = 0.05, 60.0  # seconds


async def _wait(within: AbstractContextManager[None]) -> None:
    with within:
        await asyncio.Event().wait()


async def test_what_is_late_ends_with_a_timeout() -> None:
    with pytest.raises(TimeoutError) as raised:
        await _wait(Deadlines().within(SHORT))

    task = asyncio.current_task()
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    assert task is not None
    assert task.cancelling() == 0


async def test_each_has_a_time_of_its_own() -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    ends: list[float] = []

    async def begin(after: float) -> None:
        await asyncio.sleep(after)
        began = loop.time()
        with suppress(TimeoutError):
            await _wait(deadlines.within(0.2))
        ends.append(loop.time() - began)

    await asyncio.gather(*(begin(after) for after in (0.0, 0.05, 0.1)))

    assert all(0.19 < length < 5 for length in ends), ends


async def test_those_of_one_length_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    timers: list[float] = []
    monkeypatch.setattr("asyncio.BaseEventLoop.call_at", lambda _loop, due, *_, **_kw: timers.append(due))

    for _ in range(100):
        with deadlines.within(LONG):
            pass

    assert loop.time() < timers[0] <= loop.time() + LONG
    assert len(timers) == 1


async def test_a_shorter_one_does_not_wait_for_a_longer_one() -> None:
    deadlines = Deadlines()

    with deadlines.within(LONG), pytest.raises(TimeoutError):
        await _wait(deadlines.within(SHORT))


async def test_of_two_around_each_other_the_outer_one_may_be_over() -> None:
    deadlines = Deadlines()

    with pytest.raises(TimeoutError), deadlines.within(SHORT):
        await _wait(deadlines.within(LONG))


async def test_a_cancellation_from_outside_stays_one() -> None:
    deadlines = Deadlines()
    task = asyncio.create_task(_wait(deadlines.within(LONG)))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_comes_with_the_deadline_stays_one() -> None:
    deadlines, ended = Deadlines(), asyncio.Event()

    async def cleaning() -> None:
        with deadlines.within(SHORT):
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(cleaning())
    await ended.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_what_runs_is_its_own() -> None:
    async def fail() -> None:
        with Deadlines().within(SHORT):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise KeyError from None

    with pytest.raises(KeyError):
        await fail()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_one_that_was_left_in_time_cancels_nobody() -> None:
    deadlines = Deadlines()
    with deadlines.within(SHORT):
        pass
    late = False

    async def outlast() -> None:
        nonlocal late
        await asyncio.sleep(4 * SHORT)
        late = True

    task = asyncio.create_task(outlast())

    await eventually(lambda: late, within=10)
    assert not task.cancelled()


def test_a_loop_that_was_closed_takes_no_deadline_along() -> None:
    deadlines = Deadlines()

    async def leave() -> None:
        with deadlines.within(SHORT):
            pass

    asyncio.run(leave())

    with pytest.raises(TimeoutError):
        asyncio.run(_wait(deadlines.within(SHORT)))


async def test_the_timer_keeps_nothing_of_the_request_that_set_it() -> None:
    deadlines = Deadlines()

    async def request() -> None:
        with deadlines.within(LONG):
            pass

    assert await is_forgotten(request)
