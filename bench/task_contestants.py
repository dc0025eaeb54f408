"""The queues that the part `tasks` measures: how each is prepared, worked, asked, and known to be done."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from redis.asyncio import Redis

from app.core.migrations import migrate_up
from app.core.settings import PROJECT_ROOT
from app.embedded import RedisServer
from tests.harness.app_process import launch_app
from tests.harness.settings import TestSettings, make_settings

RUN = ("-m", "bench.peers.queue_peer")
Look = Callable[[str], Awaitable[int]]
PEER_PYTHON = PROJECT_ROOT / ".local" / "bench-tasks" / "bin" / "python"


class Contestant(Protocol):
    """One queue on a database of its own."""

    async def prepare(self) -> None:
        """Its tables."""

    def working(self) -> AbstractAsyncContextManager[int]:
        """One worker process, ten tasks at once; gives its pid."""

    async def ask(self, what: str, count: int) -> Any:  # noqa: ANN401  (JSON)
        """The asking side, in a process of its own: see `bench.peers.asking`."""

    async def left(self) -> int:
        """How many tasks are not durably done."""


@dataclass
class Plinth:
    """The real `app worker`."""

    settings: TestSettings
    look: Look
    concurrency: int = 10

    async def prepare(self) -> None:
        await migrate_up(self.settings().database)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[int]:
        options = [f"worker.concurrency={self.concurrency}", "server.event_loop=uvloop", "log.level=warning"]
        async with launch_app(self.settings, *options, module="bench.task_feature", role="work") as app:
            yield app.pid

    async def ask(self, what: str, count: int) -> Any:  # noqa: ANN401  (JSON)
        arguments = ["-m", "bench.task_feature", str(self.settings.root), what, str(count)]
        return await _answer(sys.executable, arguments, dict(self.settings.environ))

    async def left(self) -> int:
        return await self.look("SELECT count(*) FROM tasks")


@dataclass
class Peer:
    """One of `bench/peers`; `unfinished` counts the rows of its own tables that are not done."""

    module: str
    environ: dict[str, str]
    unfinished: Callable[[], Awaitable[int]]

    async def prepare(self) -> None:
        await _answer(PEER_PYTHON, [*RUN, self.module, "prepare"], self.environ)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[int]:
        process = await asyncio.create_subprocess_exec(
            PEER_PYTHON, *RUN, self.module, "work", cwd=PROJECT_ROOT, env=_environ(self.environ)
        )
        try:
            yield process.pid
        finally:
            process.kill()
            await process.wait()

    async def ask(self, what: str, count: int) -> Any:  # noqa: ANN401  (JSON)
        return await _answer(PEER_PYTHON, [*RUN, self.module, what, str(count)], self.environ)

    async def left(self) -> int:
        return await self.unfinished()


@dataclass(frozen=True)
class Place:
    """What a contestant is given: a new database, an empty folder, Redis, and a way to count rows."""

    url: str
    folder: Path
    redis: RedisServer
    look: Look


def plinth(place: Place) -> Contestant:
    return Plinth(make_settings(place.folder, database_url=place.url, redis_url=place.redis.url), place.look)


def plinth_wide(place: Place) -> Contestant:
    """On the terms of `pgqueuer_wide`."""
    settings = make_settings(place.folder, database_url=place.url, redis_url=place.redis.url)
    return Plinth(settings, place.look, concurrency=200)


def procrastinate(place: Place) -> Contestant:
    """Jobs stay, as ours do."""
    unfinished = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    return Peer("procrastinate_queue", {"BENCH_URL": place.url}, lambda: place.look(unfinished))


def pgqueuer(place: Place) -> Contestant:
    """Ten at once, as the others; it then takes five at a time, at most. What is done goes to its log's table."""
    return _pgqueuer(place, BENCH_BATCH="5", BENCH_MOST="10")


def pgqueuer_wide(place: Place) -> Contestant:
    """200 at once: of 1, 2 and 5 managers with batches of 10, 50, 100 and 200 the quickest.

    Its own benchmark has 5 managers and batches of 10, which was half as quick.
    """
    return _pgqueuer(place, BENCH_BATCH="200", BENCH_MOST="0")


def _pgqueuer(place: Place, **options: str) -> Contestant:
    environ = {"BENCH_URL": place.url, **options}
    return Peer("pgqueuer_queue", environ, lambda: place.look("SELECT count(*) FROM pgqueuer"))


def saq(place: Place) -> Contestant:
    unfinished = "SELECT count(*) FROM saq_jobs WHERE status <> 'complete'"
    return Peer("saq_queue", {"BENCH_URL": place.url}, lambda: place.look(unfinished))


def saq_on_redis(place: Place) -> Contestant:
    """For comparison: Redis says that a task is done before it is on a disk."""

    async def unfinished() -> int:
        async with Redis.from_url(place.redis.url) as client:
            return int(await client.zcard("saq:default:incomplete"))

    return Peer("saq_queue", {"BENCH_URL": place.redis.url}, unfinished)


PLINTH, PLINTH_WIDE = "Plinth", "Plinth, 200"
PROCRASTINATE, PGQUEUER, PGQUEUER_WIDE = "procrastinate", "pgqueuer", "pgqueuer, 200"

CONTESTANTS: dict[str, Callable[[Place], Contestant]] = {
    PLINTH: plinth,
    PROCRASTINATE: procrastinate,
    PGQUEUER: pgqueuer,
    "saq": saq,
    PLINTH_WIDE: plinth_wide,
    PGQUEUER_WIDE: pgqueuer_wide,
    "saq, Redis": saq_on_redis,
}


async def _answer(python: str | Path, arguments: list[str], environ: dict[str, str]) -> Any:  # noqa: ANN401  (JSON)
    process = await asyncio.create_subprocess_exec(
        python, *arguments, cwd=PROJECT_ROOT, env=_environ(environ), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    return json.loads(said or b"null")


def _environ(more: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **more}
