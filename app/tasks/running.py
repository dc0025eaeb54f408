"""The tasks that this worker has taken: some run, the others are next; none holds a place for ever."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import structlog

from app.tasks.run import LOST, RELEASED, Cause, Outcome, Run

log = structlog.get_logger(__name__)

PATIENCE = 5.0  # seconds that a cancelled handler may take to clean up


class Running:
    """`execute` does one; `ended` is told of each and its outcome, at once and only once."""

    def __init__(
        self,
        *,
        concurrency: int,
        started: Callable[[Run], None],
        execute: Callable[[Run], Awaitable[Outcome]],
        failed: Callable[[Run, BaseException], Outcome],
        ended: Callable[[Run, Outcome], None],
    ) -> None:
        self._concurrency = concurrency
        self._started = started
        self._execute = execute
        self._failed = failed
        self._tell = ended
        self._next: deque[Run] = deque()
        self._active: set[Run] = set()
        self._stuck: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._is_closed = False
        # Runs are started from one another's end; none may inherit what another one has bound.
        self._context = contextvars.Context()

    @property
    def free(self) -> int:
        """How many could begin at once, beyond those that are next."""
        return self._concurrency - len(self._active) - len(self._next)

    @property
    def count(self) -> int:
        return len(self._active) + len(self._next)

    def add(self, runs: Iterable[Run]) -> None:
        self._next.extend(runs)
        self._fill()

    def close(self) -> None:
        """Begin nothing any more: what a claim under way still brings is to be given back."""
        self._is_closed = True

    def cancel(self, run: Run, cause: Cause) -> None:
        """End it as soon as it lets itself be ended; its outcome depends on the cause."""
        if run.is_over or run.cause is Cause.LOST or (run.cause and cause is not Cause.LOST):
            return
        run.cause = cause
        if run.task is None:
            self._next.remove(run)
            self._end(run, LOST if cause is Cause.LOST else RELEASED)
            return
        self._set_timer(run, PATIENCE, self._give_up)
        run.task.cancel()

    def release_waiting(self) -> int:
        """Give back those that have not begun; gives how many."""
        waiting = list(self._next)
        for run in waiting:
            self.cancel(run, Cause.RELEASED)
        return len(waiting)

    @property
    def oldest_waiting(self) -> float | None:
        """When the first of those that are next was taken."""
        return self._next[0].taken if self._next else None

    async def end(self, *, within: float, patience: float) -> int:
        """Let them end within `within` seconds, then release the rest within `patience`; gives how many."""
        await self._empty(within)
        left = list(self._active)
        for run in left:
            self.cancel(run, Cause.RELEASED)
        await self._empty(patience)
        for run in list(self._active):
            self._give_up(run)
        return len(left)

    async def _empty(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while self._active or self._next:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            return

    async def empty(self) -> None:
        """Until none runs and none is next."""
        while self._active or self._next:
            self._emptied.clear()
            await self._emptied.wait()

    def _fill(self) -> None:
        while self._next and not self._is_closed and len(self._active) < self._concurrency:
            self._start(self._next.popleft())

    def _start(self, run: Run) -> None:
        run.began = time.monotonic()
        self._active.add(run)
        self._started(run)
        run.task = asyncio.get_running_loop().create_task(self._run(run), context=self._context.copy())
        self._set_timer(run, run.runnable.timeout, self._time_out)

    async def _run(self, run: Run) -> None:
        outcome = LOST  # nothing is stored of a run that ends the process
        try:
            outcome = await self._execute(run)
        finally:
            self._end(run, outcome)

    def _end(self, run: Run, outcome: Outcome) -> None:
        if run.is_over:  # it was given up before
            return
        run.is_over = True
        run.took = time.monotonic() - run.began
        if run.timer:
            run.timer.cancel()
        self._active.discard(run)
        self._tell(run, outcome)
        self._fill()
        if not self._active:
            self._emptied.set()

    def _time_out(self, run: Run) -> None:
        self.cancel(run, Cause.TIMEOUT)

    def _give_up(self, run: Run) -> None:
        """It does not let itself be cancelled: its place goes to another, its fence keeps it from doing harm."""
        if run.is_over or run.task is None:
            return
        log.error("task_stuck", cause=run.cause, **run.about)
        self._stuck.add(run.task)
        run.task.add_done_callback(self._stuck.discard)
        self._end(run, self._given_up(run))

    def _given_up(self, run: Run) -> Outcome:
        if run.cause is Cause.TIMEOUT:
            limit = run.runnable.timeout
            return self._failed(run, TimeoutError(f"it had not ended after {limit:g} s, and could not be cancelled"))
        return LOST if run.cause is Cause.LOST else RELEASED

    def _set_timer(self, run: Run, seconds: float, call: Callable[[Run], None]) -> None:
        if run.timer:
            run.timer.cancel()
        run.timer = asyncio.get_running_loop().call_later(seconds, call, run)
