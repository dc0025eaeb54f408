"""Kills workers with -9 one after another, starts each anew, and crashes PostgreSQL now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from app.embedded import PostgresServer, Stop
from tests.harness.app_process import AppProcess, launch_app
from tests.harness.settings import TestSettings

FEATURE = "tests.tasks.chaos_feature"
RECOVERED = "database system was not properly shut down"


@dataclass(frozen=True)
class Kill:
    """`at` is in seconds since 1970, just before the signal."""

    at: float
    pid: int


@dataclass
class Faults:
    """Owns two workers; every `kill_every` seconds the one that has lived longer is killed."""

    settings: TestSettings
    postgres: PostgresServer
    options: tuple[str, ...]
    kill_every: float = 2.0
    restart_every: float = 30.0
    kills: list[Kill] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    workers: list[AppProcess] = field(default_factory=list)
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def start_worker(self) -> AppProcess:
        launching = launch_app(self.settings, *self.options, module=FEATURE, role="work")
        worker = await self._running.enter_async_context(launching)
        self.workers.append(worker)
        return worker

    async def kill_one(self) -> None:
        """There are two by then: on a busy machine a start takes longer than the time between two kills."""
        for worker in self.workers:
            await worker.listening()
        worker = self.workers.pop(0)
        self.kills.append(Kill(time.time(), worker.pid))
        worker.kill()
        assert await worker.wait(within=30) == -9
        await self.start_worker()

    @asynccontextmanager
    async def happening(self) -> AsyncIterator[None]:
        """Until the block ends, and what has begun by then is done to its end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(self.kill_one, self.kill_every))
            group.create_task(self._keep(self.restart, self.restart_every))
            try:
                yield
            finally:
                self._enough.set()

    async def _keep(self, fault: Callable[[], Awaitable[object]], every: float) -> None:
        at = time.monotonic()
        while not self._enough.is_set():
            at += every
            with suppress(TimeoutError):
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + at - time.monotonic()):
                    await self._enough.wait()
            if not self._enough.is_set():
                await fault()

    async def restart(self) -> None:
        """As in a crash of PostgreSQL: what is committed is there afterwards, and nothing else."""
        before, began = self.postgres.pid, time.time()
        await self.postgres.restart(Stop.IMMEDIATE)
        self.restarts.append(time.time() - began)
        assert self.postgres.pid != before
        assert self.postgres.log_path.read_text(errors="replace").count(RECOVERED) >= len(self.restarts)

    async def close(self) -> None:
        await self._running.aclose()
