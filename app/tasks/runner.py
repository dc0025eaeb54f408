"""Does tasks: claims them in batches, runs them, keeps their leases, and stores how they ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

import structlog

from app.core.database import Database
from app.core.resources import Resources
from app.tasks.backoff import Backoff
from app.tasks.claimer import Claimer
from app.tasks.execution import Execution
from app.tasks.hints import Hints
from app.tasks.leases import Leases
from app.tasks.registry import Registry
from app.tasks.run import Cause, End, Outcome, Run
from app.tasks.running import Running
from app.tasks.settler import TROUBLE, Settler
from app.tasks.traces import traced
from app.tasks.upkeep import Upkeep

log = structlog.get_logger(__name__)

AHEAD = 0.05  # seconds of work that is claimed before there is room for it
MOST_AHEAD = 200
STALE_AHEAD = 0.5  # seconds; what was claimed ahead and has not begun by then is left to other workers
STOPPING = 1.0  # seconds of the grace that are kept for cancelling, and as many for releasing
LEAST_PATIENCE = 0.1  # also without any grace, a cancelled handler may clean up
STORING = 4.0  # seconds that storing may take where no grace is left for it; what is not given back waits for its lease


class Runner:
    """One for each worker process; `name` is unique among all of them, for ever.

    `database` is where its own statements go, so that they never wait for a connection that handlers hold: a renewal
    that waits too long loses every task. It is that of the handlers where none is given.
    """

    def __init__(
        self, resources: Resources, registry: Registry, hints: Hints, name: str, *, database: Database | None = None
    ) -> None:
        worker, database = resources.settings.worker, database or resources.database
        self._poll_interval = worker.poll_interval
        self._metrics = resources.metrics.tasks
        self._metrics.know(registry.runnables)
        self._held: set[Run] = set()
        self._stopping = asyncio.Event()
        self._is_claiming = asyncio.Lock()
        self._news = asyncio.Event()
        self._look_at = 0.0  # when to claim next, unless a hint comes first
        self._rate = Rate()
        self._released = 0
        execution = Execution(resources)
        self._running = Running(
            concurrency=worker.concurrency,
            started=self._started,
            execute=traced(execution.execute, resources.tracing),
            failed=execution.failed,
            ended=self._ended,
        )
        self._concurrency = worker.concurrency
        self._settler = Settler(database, settled=self._settled, promoted=self._came_back)
        self._leases = Leases(database, self._held, lease=worker.lease, writing=self._settler.writing, lose=self._lose)
        self._claimer = Claimer(database, registry, self._held, name=name, lease=worker.lease)
        self._upkeep = Upkeep(resources, database, found=self._came_back)
        self._bounded = {name for name, each in registry.runnables.items() if each.concurrency is not None}
        hints.on_message(self._hear)

    @property
    def last_claim(self) -> float:
        """When the database last answered a claim, or there was no room for one (monotonic seconds)."""
        return self._claimer.last_claim

    async def run(self) -> None:
        """Until `stop_claiming`; then call `finish`."""
        async with self._tended(self._upkeep.run()):
            backoff = Backoff()
            while not self._stopping.is_set():
                try:
                    await self._wait()
                    await self._claim()
                    backoff.reset()
                except TROUBLE as error:
                    log.warning("claim_failed", error=type(error).__name__)
                    self._look_at = 0.0
                    await backoff.wait()

    def stop_claiming(self) -> None:
        """Take no more; what runs goes on."""
        self._stopping.set()
        self._running.close()
        self._news.set()

    async def finish(self, grace: float) -> None:
        """Let what runs end, cancel and release in time what does not, store all of it; within `grace` seconds."""
        self.stop_claiming()
        released = self._running.release_waiting()
        async with self._tended():
            patience = max(LEAST_PATIENCE, min(STOPPING, grace / 10))
            released += await self._running.end(within=max(grace - 2 * patience, 0.0), patience=patience)
            with suppress(TimeoutError, *TROUBLE):
                async with asyncio.timeout(max(patience, STORING)), self._is_claiming:
                    await self._settler.empty()
                    released += await self._claimer.give_back()
        log.info("tasks_released", tasks=released)

    async def run_once(self) -> int:
        """Take back, claim what is due, run it to its end and store that; gives how many there were."""
        await self._upkeep.rescue(full=True)
        await self._upkeep.promote()
        async with self._tended():
            runs = await self._claimer.claim(MOST_AHEAD, full=True)
            self._take(runs)
            await self._running.empty()
            await self._settler.empty()
        return len(runs)

    @asynccontextmanager
    async def _tended(self, *more: Coroutine[None, None, None]) -> AsyncIterator[None]:
        """Ends are stored and leases renewed meanwhile; may be entered twice at once. One that fails ends the block."""
        async with asyncio.TaskGroup() as group:
            tending = [group.create_task(each) for each in (self._settler.run(), self._leases.run(), *more)]
            try:
                yield
            finally:
                for each in tending:
                    each.cancel()

    async def _wait(self) -> None:
        """Until there is room, and reason to look."""
        while not self._stopping.is_set():
            self._news.clear()
            now = time.monotonic()
            has_room = self._has_room()
            if not has_room:
                self._claimer.last_claim = now  # it asks for nothing, so that no answer means nothing
            if has_room and now >= self._look_at:
                return
            self._leave_stale(now)
            seconds = self._look_at - now if has_room else min(self._poll_interval, STALE_AHEAD)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()

    def _has_room(self) -> bool:
        """Not for each single one: a claim costs the same whether it takes one or a hundred."""
        room = self._room()
        return self._running.free > 0 or room >= max(1, (self._concurrency + self._rate.ahead) // 2)

    def _room(self) -> int:
        return self._running.free + self._rate.ahead

    def _leave_stale(self, now: float) -> None:
        taken = self._running.oldest_waiting
        if taken is not None and now - taken > STALE_AHEAD:
            self._rate.forget()
            self._running.release_waiting()

    async def _claim(self) -> None:
        async with self._is_claiming:
            if self._stopping.is_set():
                return
            room = self._room()
            self._look_at = time.monotonic() + self._poll_interval
            runs = await self._claimer.claim(room)
            self._rate.measure()
            if len(runs) == room:
                self._look_at = 0.0
            self._take(runs)
            if self._stopping.is_set():
                self._running.release_waiting()

    def _take(self, runs: list[Run]) -> None:
        self._held.update(runs)
        for run in runs:
            self._metrics.claimed(run.claimed.task_type, run.claimed.waited)
        self._running.add(runs)

    def _started(self, run: Run) -> None:
        self._metrics.started(run.claimed.task_type)

    def _ended(self, run: Run, outcome: Outcome) -> None:
        self._rate.count += 1
        self._settler.add(run, outcome)
        self._news.set()

    def _settled(self, run: Run, outcome: Outcome) -> None:
        self._held.discard(run)
        task_type = run.claimed.task_type
        if run.task is not None:
            self._metrics.ended(task_type, outcome.end.value, run.took)
        if outcome.end is End.DONE:
            log.debug("task_done", **run.about)
        elif outcome.end is not End.DEAD:
            self._came_back(after=outcome.delay or 0.0)
        if task_type in self._bounded:
            self._claimer.woken(task_type)
            self._look_soon()

    def _lose(self, run: Run) -> None:
        self._running.cancel(run, Cause.LOST)

    def _came_back(self, *, after: float = 0.0) -> None:
        """Something is to be claimed that a search from the floors might not see."""
        if after <= 0:
            self._claimer.floors.look_fully()
        self._look_soon(after)

    def _look_soon(self, after: float = 0.0) -> None:
        self._look_at = min(self._look_at, time.monotonic() + after)
        self._news.set()

    def _hear(self, message: str) -> None:
        if message == "tasks":
            self._look_soon()
        else:
            self._leases.hear(message)


class Rate:
    """How fast tasks have ended of late, and with that how many to have ready."""

    def __init__(self) -> None:
        self.count = 0
        self._per_second = 0.0
        self._since = time.monotonic()

    @property
    def ahead(self) -> int:
        seconds = time.monotonic() - self._since
        now = self._per_second if seconds < AHEAD else min(self._per_second, self.count / seconds)
        return min(int(now * AHEAD), MOST_AHEAD)

    def measure(self) -> None:
        now = time.monotonic()
        seconds = max(now - self._since, 0.001)
        self._per_second = (self._per_second + self.count / seconds) / 2
        self.count, self._since = 0, now

    def forget(self) -> None:
        self._per_second = 0.0
