"""Who is not signed in any more loses the socket; who is keeps it, also while nobody can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from app.core.callers import Caller
from app.sockets.review import Review
from tests.harness.clock import FakeClock
from tests.harness.waiting import eventually

NEVER = 3600.0  # seconds
WITHIN = 20.0


@dataclass
class Socket:
    """As far as a review sees it."""

    caller: Caller | None
    closed: list[tuple[int, str]] = field(default_factory=list)

    def close(self, code: int, reason: str = "") -> None:
        self.closed.append((code, reason))


@dataclass
class Session:
    """A database of credentials that can be down."""

    valid: set[str]
    down: bool = False
    asked: list[Sequence[str]] = field(default_factory=list)

    async def ask(self, credentials: Sequence[str]) -> Collection[str]:
        self.asked.append(credentials)
        await asyncio.sleep(0)
        if self.down:
            raise ConnectionError("the database is down")
        return self.valid.intersection(credentials)


def socket(credential: str, *, user: str = "ada") -> Socket:
    return Socket(Caller(user, credential=credential))


@asynccontextmanager
async def running(review: Review) -> AsyncIterator[Review]:
    task = asyncio.create_task(review.run())
    try:
        yield review
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


async def test_all_credentials_are_asked_about_once_and_only_the_ended_ones_closed() -> None:
    sockets = [socket("a"), socket("a"), socket("b"), socket("c", user="bob"), Socket(None), socket("")]
    session = Session({"a", "c"})

    await Review(lambda: sockets, session.ask, interval=NEVER).close_signed_out()

    assert session.asked == [("a", "b", "c")]
    assert [each.closed for each in sockets] == [[], [], [(1008, "signed out")], [], [], []]


async def test_nobody_is_asked_where_nobody_is_signed_in() -> None:
    session = Session(set())

    await Review(lambda: [Socket(None)], session.ask, interval=NEVER).close_signed_out()
    await Review(lambda: [socket("a")], None, interval=NEVER).close_signed_out()

    assert session.asked == []


async def test_one_that_comes_while_the_others_are_asked_about_is_left_alone() -> None:
    sockets = [socket("a")]
    session = Session(set())

    async def ask(credentials: Sequence[str]) -> Collection[str]:
        sockets.append(socket("b"))
        return await session.ask(credentials)

    await Review(lambda: sockets, ask, interval=NEVER).close_signed_out()

    assert [bool(each.closed) for each in sockets] == [True, False]


async def test_nobody_is_closed_while_nobody_can_be_asked_and_it_is_said_once() -> None:
    sockets = [socket("a")]
    session = Session(set(), down=True)
    review = Review(lambda: sockets, session.ask, interval=NEVER)

    with capture_logs() as logs:
        for _ in range(3):
            await review.close_signed_out()
        assert not sockets[0].closed
        session.down = False
        await review.close_signed_out()
        session.down = True
        await review.close_signed_out()

    assert sockets[0].closed == [(1008, "signed out")]
    assert [entry["event"] for entry in logs] == ["realtime_review_failed"] * 2


async def test_it_is_asked_again_after_every_interval_also_after_a_failure() -> None:
    session = Session({"a"}, down=True)

    async with running(Review(lambda: [socket("a")], session.ask, interval=0.01)):
        await eventually(lambda: len(session.asked) >= 3, within=WITHIN)


async def test_a_review_that_failed_does_not_wait_for_the_whole_interval() -> None:
    sockets, session = [socket("a")], Session(set(), down=True)

    async with running(Review(lambda: sockets, session.ask, interval=NEVER)) as review:
        review.soon()
        await eventually(lambda: session.asked, within=WITHIN)
        session.down = False
        await eventually(lambda: sockets[0].closed, within=WITHIN)


async def test_it_is_asked_at_once_when_a_sign_out_may_have_been_missed() -> None:
    sockets = [socket("a")]
    session = Session(set())

    async with running(Review(lambda: sockets, session.ask, interval=NEVER)) as review:
        review.soon()
        review.soon()
        await eventually(lambda: sockets[0].closed, within=WITHIN)

    assert len(session.asked) == 1


@pytest.mark.parametrize(("passed", "closed"), [(59, False), (60, True), (61, True)])
async def test_credentials_end_when_they_said_they_would(clock: FakeClock, passed: int, closed: bool) -> None:
    ends = Socket(Caller("ada", credential="a", expires_at=clock.now() + timedelta(seconds=60)))
    stays = socket("b")
    review = Review(lambda: [ends, stays, Socket(None)], None, interval=NEVER, clock=clock)

    clock.advance(passed)
    review.close_expired()

    assert ends.closed == ([(1008, "credentials expired")] if closed else [])
    assert stays.closed == []


async def test_expiry_is_noticed_without_anybody_asking(clock: FakeClock) -> None:
    ends = Socket(Caller("ada", expires_at=clock.now()))

    async with running(Review(lambda: [ends], None, interval=NEVER, clock=clock)):
        await eventually(lambda: ends.closed, within=WITHIN)

    assert ends.closed[0] == (1008, "credentials expired")
