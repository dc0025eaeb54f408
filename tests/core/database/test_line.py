"""Who waits is served in turn, in time or told so, and what is given to somebody who has left is not lost."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from app.core.database.driver import Holder
from app.core.database.line import Line
from tests.harness.forgetting import is_forgotten
from tests.harness.waiting import eventually

LONG = 60.0  # seconds that no test waits


class Pool:
    """Where places go that nobody takes."""

    def __init__(self, *, timeout: float = LONG) -> None:
        self.line = Line(timeout=timeout, put_back=self.free)
        self.places: list[Holder] = []

    def free(self, holder: Holder) -> None:
        if not self.line.offer(holder):
            self.places.append(holder)

    async def waiter(self, *, since: float = 0.0) -> asyncio.Task[Holder]:
        """One who waits, and has done so for `since` seconds."""
        before = len(self.line._waiting)
        task = asyncio.create_task(self.line.wait(time.monotonic() - since))
        await asyncio.sleep(0)
        assert len(self.line._waiting) == before + 1
        return task


async def told(waiter: asyncio.Task[Holder]) -> None:
    """That there is nothing, and not only much later."""
    done, _ = await asyncio.wait({waiter}, timeout=20)
    assert done
    assert isinstance(waiter.exception(), TimeoutError)


async def test_whoever_came_first_is_served_first() -> None:
    pool = Pool()
    waiters = [await pool.waiter() for _ in range(3)]

    for place in ("a", "b", "c", "d"):
        pool.free(place)

    assert [await each for each in waiters] == ["a", "b", "c"]
    assert pool.places == ["d"]


async def test_what_was_given_to_one_cancelled_in_the_same_moment_goes_to_the_next() -> None:
    pool = Pool()
    first, second = await pool.waiter(), await pool.waiter()

    pool.free("a")
    first.cancel()

    assert await second == "a"
    assert first.cancelled()
    assert pool.places == []


async def test_what_was_given_to_one_cancelled_in_the_same_moment_is_kept_where_nobody_waits() -> None:
    pool = Pool()
    only = await pool.waiter()

    pool.free("a")
    only.cancel()
    await asyncio.wait({only})

    assert only.cancelled()
    assert pool.places == ["a"]


async def test_what_was_given_past_ones_own_deadline_is_not_lost() -> None:
    pool = Pool()

    async def impatient() -> None:
        async with asyncio.timeout(0):
            await pool.line.wait(time.monotonic())

    task = asyncio.create_task(impatient())
    asyncio.get_running_loop().call_soon(pool.free, "a")
    with pytest.raises(TimeoutError):
        await task

    assert pool.places == ["a"]


async def test_one_who_was_cancelled_and_has_not_left_yet_is_given_nothing() -> None:
    pool = Pool()
    first, second = await pool.waiter(), await pool.waiter()

    first.cancel()
    pool.free("a")

    assert await second == "a"
    assert first.cancelled()


async def test_a_thousand_who_leave_at_once_leave_nothing_behind() -> None:
    pool = Pool()
    waiters = [await pool.waiter() for _ in range(1000)]

    for each in waiters:
        each.cancel()
    await asyncio.wait(waiters)

    assert len(pool.line._waiting) == 0
    pool.free("a")
    assert pool.places == ["a"]


async def test_one_who_was_served_in_the_moment_of_the_deadline_keeps_it() -> None:
    pool = Pool()
    late = await pool.waiter(since=LONG + 1)

    pool.free("a")
    pool.line._tell_the_late()

    assert await late == "a"


async def test_what_comes_free_while_the_loop_stands_still_is_given_to_who_waits() -> None:
    pool = Pool(timeout=0.1)
    waiter = await pool.waiter()
    frees, told_so = socket.socketpair()
    frees.setblocking(False)
    asyncio.get_running_loop().add_reader(frees, lambda: asyncio.get_running_loop().call_soon(pool.free, "a"))

    told_so.send(b"the query is done")
    time.sleep(0.3)  # noqa: ASYNC251  (a handler that holds the loop)
    await asyncio.wait({waiter})
    asyncio.get_running_loop().remove_reader(frees)
    frees.close()
    told_so.close()

    assert await waiter == "a"


async def test_one_who_was_told_in_this_moment_is_given_nothing() -> None:
    pool = Pool()
    late = await pool.waiter(since=LONG + 1)

    pool.line._tell_the_late()
    pool.free("a")

    with pytest.raises(TimeoutError):
        await late
    assert pool.places == ["a"]


async def test_one_who_was_told_and_cancelled_in_the_same_moment_is_given_nothing() -> None:
    pool = Pool()
    late = await pool.waiter(since=LONG + 1)

    pool.line._tell_the_late()
    late.cancel()
    await asyncio.wait({late})

    assert late.cancelled()
    assert pool.places == []


async def test_each_is_told_in_its_own_time() -> None:
    pool = Pool(timeout=0.2)
    began = time.monotonic()
    early, later = await pool.waiter(since=0.15), await pool.waiter()

    for task in (early, later):
        await told(task)

    assert time.monotonic() - began >= 0.2


async def test_the_time_of_one_is_not_cut_short_by_one_who_came_before() -> None:
    pool = Pool()
    early, later = await pool.waiter(since=LONG), await pool.waiter()

    with pytest.raises(TimeoutError):
        await early
    pool.free("a")

    assert await later == "a"


async def test_who_comes_after_all_others_were_served_is_still_told() -> None:
    pool = Pool(timeout=0.1)
    first = await pool.waiter()
    pool.free("a")
    await first

    await told(await pool.waiter())
    await told(await pool.waiter())


async def test_a_line_that_is_closed_sends_everybody_away() -> None:
    pool = Pool()
    waiters = [await pool.waiter() for _ in range(3)]

    pool.line.close(lambda: ConnectionError("closed"))

    done, _ = await asyncio.wait(waiters, timeout=20)
    assert [str(each.exception()) for each in done] == ["closed"] * 3
    await eventually(lambda: pool.line._timer is None or pool.line._timer.cancelled(), within=10)


async def test_the_timer_keeps_nothing_of_the_request_that_set_it() -> None:
    pool = Pool()

    async def request() -> None:
        waiter = await pool.waiter()
        pool.free("a")
        await waiter

    assert await is_forgotten(request)
    assert pool.line._timer is not None
