"""The queues that `make bench-tasks` measures: how each is prepared, worked, asked, and known to be done."""

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

import asyncpg
from redis.asyncio import Redis

from app.core.migrations import migrate_up
from app.core.settings import PROJECT_ROOT
from app.embedded import RedisServer
from tests.harness.app_process import launch_app
from tests.harness.settings import TestSettings, make_settings

RUN = ("-m", "bench.peers.queue_peer")
PEER_PYTHON = PROJECT_ROOT / ".local" / "bench-tasks" / "bin" / "python"


class Contestant(Protocol):
    """One queue on a database of its own."""

    async def prepare(self) -> None:
        """Its tables."""

    def working(self) -> AbstractAsyncContextManager[None]:
        """One worker process, ten tasks at once."""

    async def ask(self, what: str, count: int) -> Any:  # noqa: ANN401  (JSON)
        """The asking side, in a process of its own: see `bench.peers.asking`."""

    async def left(self) -> int:
        """How many tasks are not durably done."""


@dataclass
class Plinth:
    """The real `app worker`."""

    settings: TestSettings
    url: str

    async def prepare(self) -> None:
        await migrate_up(self.settings().database)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        options = ["worker.concurrency=10", "server.event_loop=uvloop", "log.level=warning"]
        async with launch_app(self.settings, *options, module="bench.task_feature", role="work"):
            yield

    async def ask(self, what: str, count: int) -> Any:  # noqa: ANN401  (JSON)
        arguments = ["-m", "bench.task_feature", str(self.settings.root), what, str(count)]
        return await _answer(sys.executable, arguments, dict(self.settings.environ))

    async def left(self) -> int:
        return await _count(self.url, "SELECT count(*) FROM tasks")


@dataclass
class Peer:
    """One of `bench/peers`; `unfinished` counts the rows of its own tables that are not done."""

    module: str
    environ: dict[str, str]
    unfinished: Callable[[], Awaitable[int]]

    async def prepare(self) -> None:
        await _answer(PEER_PYTHON, [*RUN, self.module, "prepare"], self.environ)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        process = await asyncio.create_subprocess_exec(
            PEER_PYTHON, *RUN, self.module, "work", cwd=PROJECT_ROOT, env=_environ(self.environ)
        )
        try:
            yield
        finally:
            process.kill()
            await process.wait()

    async def ask(self, what: str, count: int) -> Any:  # noqa: ANN401  (JSON)
        return await _answer(PEER_PYTHON, [*RUN, self.module, what, str(count)], self.environ)

    async def left(self) -> int:
        return await self.unfinished()


Make = Callable[[str, Path, RedisServer], Contestant]


def plinth(url: str, folder: Path, redis: RedisServer) -> Contestant:
    folder.mkdir()
    return Plinth(make_settings(folder, database_url=url, redis_url=redis.url), url)


def procrastinate(url: str, _: Path, __: RedisServer) -> Contestant:
    """Jobs stay, as ours do."""
    unfinished = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    return Peer("procrastinate_queue", {"BENCH_URL": url}, lambda: _count(url, unfinished))


def pgqueuer(url: str, _: Path, __: RedisServer) -> Contestant:
    """What is done goes from its queue's table to that of its log."""
    return Peer(
        "pgqueuer_queue",
        {"BENCH_URL": url, **PGQUEUER},
        lambda: _count(url, "SELECT count(*) FROM pgqueuer"),
    )


# The quickest of what was tried: 1, 2 and 5 managers, batches of 10, 50, 100 and 200. Its own benchmark has 5 and 10,
# which is half as quick. It means that 200 of its jobs run at once, where the others run ten.
PGQUEUER = {"BENCH_MANAGERS": "1", "BENCH_BATCH": "200"}


def saq(url: str, _: Path, __: RedisServer) -> Contestant:
    unfinished = "SELECT count(*) FROM saq_jobs WHERE status <> 'complete'"
    return Peer("saq_queue", {"BENCH_URL": url}, lambda: _count(url, unfinished))


def saq_on_redis(_: str, __: Path, redis: RedisServer) -> Contestant:
    """For comparison: Redis says that a task is done before it is on a disk."""

    async def unfinished() -> int:
        async with Redis.from_url(redis.url) as client:
            return int(await client.zcard("saq:default:incomplete"))

    return Peer("saq_queue", {"BENCH_URL": redis.url}, unfinished)


CONTESTANTS: dict[str, Make] = {
    "plinth": plinth,
    "procrastinate": procrastinate,
    "pgqueuer": pgqueuer,
    "saq": saq,
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


async def _count(url: str, sql: str) -> int:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return int(await connection.fetchval(sql))
    finally:
        await connection.close()
