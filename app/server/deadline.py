"""The one timer of a connection, which is moved rather than cancelled: most are due long after they were moved on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context


class Deadline:
    """Calls once, when the time is over that was set last."""

    __slots__ = ("_call", "_context", "_due", "_loop", "_timer", "_wakes")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call = call
        self._context = Context()  # a timer would keep the one of the request in which it was set
        self._due: float | None = None
        self._wakes = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        if self._timer is None or self._wakes > self._due:
            self._arm(self._due)

    def lift(self) -> None:
        """There is none for now."""
        self._due = None

    def cancel(self) -> None:
        """There will be none any more."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        del self._call  # it leads back to here

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = due
        self._timer = self._loop.call_at(due, self._wake, context=self._context)

    def _wake(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._arm(self._due)
        else:
            self._due = None
            self._call()
