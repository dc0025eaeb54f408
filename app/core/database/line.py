"""Who waits for a connection: first come, first served, and each of them for so long and no longer."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context

from app.core.database.driver import Holder

Waiter = asyncio.Future[Holder]

# Turns of the loop from the moment at which somebody's time is over: so many until what has come meanwhile is read.
TURNS = 3


class Line:
    """What becomes free is given to the first who still waits, never put where somebody else could take it.

    asyncpg wakes the first one instead and leaves it to find the connection there, and its deadline is a timer and a
    task for each who waits. Here one timer is enough: all wait equally long, so the first is the first to be told.
    """

    def __init__(self, *, timeout: float, put_back: Callable[[Holder], None]) -> None:
        """`put_back` is for what was given to somebody who is gone by now; it may come here again by `offer`."""
        self._timeout = timeout
        self._put_back = put_back
        self._waiting: OrderedDict[Waiter, float] = OrderedDict()
        self._timer: asyncio.Handle | None = None
        self._context = Context()  # the timer's, which is set anew again and again, for nobody's request

    async def wait(self, started: float) -> Holder:
        """Raises `TimeoutError`, or what the line was closed with; `started` is of the monotonic clock."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = started
        if self._timer is None:
            self._tell_at(started + self._timeout)
        try:
            return await waiter
        except BaseException:
            self._waiting.pop(waiter, None)
            if _was_given(waiter):  # in the same turn of the loop as the cancellation
                self._put_back(waiter.result())
            raise

    def offer(self, holder: Holder) -> bool:
        """Give it to the first one; False where nobody waits."""
        while self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.done():  # else cancelled, and not there yet to leave the line
                waiter.set_result(holder)
                return True
        return False

    def close(self, error: Callable[[], Exception]) -> None:
        """Nobody is left waiting for what will not come; each gets an error of its own."""
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, OrderedDict()
        for waiter in waiting:
            _tell(waiter, error())

    def _tell_at(self, deadline: float) -> None:
        delay = max(0.001, deadline - time.monotonic())  # a loop's clock is coarser: never in the same turn again
        self._timer = asyncio.get_running_loop().call_later(delay, self._look, TURNS, context=self._context)

    def _look(self, turns: int) -> None:
        """A loop that is late itself first reads what has come: it may be what frees a connection."""
        if turns:
            self._timer = asyncio.get_running_loop().call_soon(self._look, turns - 1, context=self._context)
        else:
            self._tell_the_late()

    def _tell_the_late(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._waiting:
            waiter, started = next(iter(self._waiting.items()))
            if now < started + self._timeout:
                self._tell_at(started + self._timeout)
                return
            del self._waiting[waiter]
            _tell(waiter, TimeoutError())


def _was_given(waiter: Waiter) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None


def _tell(waiter: Waiter, error: Exception) -> None:
    if not waiter.done():
        waiter.set_exception(error)
