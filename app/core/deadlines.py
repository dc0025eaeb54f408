"""Deadlines as `asyncio.timeout` keeps them, but for the timer that it sets and takes back each time.

Of those of one length the first to begin is the first to be due: one timer stands for all of them, and most often
looks in vain.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from types import TracebackType


class Deadlines:
    """One line of deadlines for each length: for lengths that are declared, not for any that a client could choose."""

    def __init__(self) -> None:
        self._lines: dict[float, _Line] = {}

    def within(self, seconds: float) -> Deadline:
        """Around what may be awaited for so long, for one use. Raises `TimeoutError` in its place."""
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = _Line(seconds)
        return Deadline(line)


class Deadline:
    """Cancels the task that has entered it, unless it leaves in time."""

    __slots__ = ("_cancelling", "_line", "_task")

    _task: asyncio.Task[object]
    _cancelling: int

    def __init__(self, line: _Line) -> None:
        self._line = line

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A deadline needs a task that it can cancel.")
        self._task, self._cancelling = task, task.cancelling()
        self._line.add(self)

    def expire(self) -> None:
        """The time is over."""
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line.discard(self):
            return
        # Another's cancellation goes on: it is no news of this deadline.
        if self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error


class _Line:
    """Deadlines of one length, in the order in which they are due."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Deadline, float] = {}
        self._watching: asyncio.AbstractEventLoop | None = None  # the one that has the timer
        self._context = Context()  # the timer's, which is set anew again and again, for nobody's request

    def add(self, deadline: Deadline) -> None:
        loop = asyncio.get_running_loop()
        self._due[deadline] = due = loop.time() + self._seconds
        if self._watching is not loop:  # a loop that was closed has taken its timer along
            self._watch(loop, due)

    def discard(self, deadline: Deadline) -> bool:
        """False where it has expired."""
        return self._due.pop(deadline, None) is not None

    def _watch(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._watching = loop
        loop.call_at(due, self._look, loop, due, context=self._context)

    def _look(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """`now` is what the timer was set to: a loop may count in milliseconds, and be early by a part of one."""
        self._watching = None
        now = max(now, loop.time())
        while self._due:
            deadline, due = next(iter(self._due.items()))
            if due > now:
                self._watch(loop, due)
                return
            del self._due[deadline]
            deadline.expire()
