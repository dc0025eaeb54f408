"""All that a worker does, side by side: one of its parts that fails is started again, and stops none of the others."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from app.core.beside import beside
from app.core.database import Database
from app.core.resources import Resources
from app.tasks.depth import Depth
from app.tasks.hints import Hints
from app.tasks.listener import Listener
from app.tasks.own_database import open_own_database
from app.tasks.registry import Registry
from app.tasks.relay import Relay
from app.tasks.restarted import restarted
from app.tasks.runner import Runner
from app.tasks.scheduler import Scheduler

log = structlog.get_logger(__name__)

# In the extensions of an application, while one runs beside it.
WORKER = "plinth.worker"

# Seconds that giving tasks back may take, after the grace that they had; the lease gives back what is left.
LAST_RESORT = 5.0

# A claim that the database has not answered for so long, in seconds and in polls, is reported.
SILENT, SILENT_POLLS = 10.0, 5

Run = Callable[[], Coroutine[None, None, None]]


class Worker:
    """`ended` is set when nothing of it runs any more."""

    def __init__(self, resources: Resources, registry: Registry, *, database: Database | None = None) -> None:
        self.ended = asyncio.Event()
        self.grace = resources.settings.worker.shutdown_timeout
        self.name = unique_name()
        self._resources = resources
        self._registry = registry
        hints = Hints()
        self.runner = Runner(resources, registry, hints, self.name, database=database)
        # Until the last task has ended: it may be cancelled, and is counted.
        self._watching: dict[str, Run] = {
            "listener": Listener(resources, hints).run,
            "depth": Depth(resources, registry).run,
        }
        # Until somebody asks to stop.
        self._making_work: dict[str, Run] = {
            "relay": Relay(resources, registry, hints).run,
            "scheduler": Scheduler(resources, registry).run,
        }

    @property
    def silence(self) -> str | None:
        """Why nothing may be done here at present; None while the database answers."""
        seconds = time.monotonic() - self.runner.last_claim
        if seconds <= max(SILENT, SILENT_POLLS * self._resources.settings.worker.poll_interval):
            return None
        return f"the database has not answered a claim for {seconds:.0f} s"

    async def run(self) -> None:
        """Until stopping is asked for, and what runs has ended or was given back."""
        self._announce()
        try:
            async with _all(self._watching), beside(restarted("runner", self.runner.run), name="runner"):
                async with _all(self._making_work):
                    await self._resources.lifecycle.stop_requested.wait()
                    self.runner.stop_claiming()
                await self._finish()
        finally:
            self.ended.set()
        log.info("worker_stopped", worker=self.name)

    def _announce(self) -> None:
        schedules = [schedule.name for schedule in self._registry.schedules]
        log.info(
            "worker_ready",
            worker=self.name,
            concurrency=self._resources.settings.worker.concurrency,
            task_types=len(self._registry.runnables),
            schedules=len(schedules),
        )

    async def _finish(self) -> None:
        """A failure leaves tasks to their leases, and costs them some time."""
        try:
            async with asyncio.timeout(self.grace + LAST_RESORT):
                await self.runner.finish(self.grace)
        except Exception:
            log.exception("worker_stop_failed", worker=self.name)


@asynccontextmanager
async def open_worker(resources: Resources, registry: Registry) -> AsyncIterator[Worker]:
    """Work until `lifecycle.stop_requested`; the block ends when all has ended or was given back."""
    async with (
        open_own_database(resources) as database,
        _working(Worker(resources, registry, database=database), resources) as worker,
    ):
        yield worker


@asynccontextmanager
async def _working(worker: Worker, resources: Resources) -> AsyncIterator[Worker]:
    working = asyncio.create_task(worker.run(), name="worker")
    # A process that would only look like a worker is stopped, and told to have crashed.
    working.add_done_callback(lambda _: resources.lifecycle.stop_requested.set())
    try:
        yield worker
    finally:
        if not resources.lifecycle.stop_requested.is_set():
            worker.grace = 0.0  # nobody has asked: whatever ends this process, its tasks are better off elsewhere
            resources.lifecycle.stop_requested.set()
        await working


@asynccontextmanager
async def _all(parts: dict[str, Run]) -> AsyncIterator[None]:
    async with AsyncExitStack() as running:
        for name, run in parts.items():
            await running.enter_async_context(beside(restarted(name, run), name=name))
        yield


def unique_name() -> str:
    """The host and the process, for people, and something that a restarted container does not have again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
