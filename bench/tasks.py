"""What background tasks cost, beside procrastinate, pgqueuer and saq: throughput, enqueueing, pickup.

`make bench-tasks [TASKS=5000] [ROUNDS=5]`, or `python -m bench.tasks [TASKS] [ROUNDS]`. All on one PostgreSQL 18 from
wheels that waits for its disk, each in a database of its own, with one worker process that runs ten tasks at once.
In each round all of them take their turn, in turn the other way around. A round first fills the queue while no worker
runs, then starts the worker; the time counts from the first completions that are seen to the last one, in the queue's
own tables, so that nobody's start is in it. On a machine that has other work the ratios of CPU time say more: that of
the worker and the servers together.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil

from app.core.settings import PROJECT_ROOT
from app.core.telemetry import configure_logging, parse_levels
from app.embedded import RedisServer, start_postgres, start_redis
from app.embedded.postgres import PostgresServer
from app.server.engine import loop_factory
from bench.figures import Part, keep
from bench.machine import installed, pinned
from bench.measures import Measure, Round, progress, series_of, turns
from bench.tables import shown
from bench.task_contestants import CONTESTANTS, PEER_PYTHON, PLINTH, Contestant, Place
from tests.harness.services import PASSWORD

PART = "tasks"
PEERS = PROJECT_ROOT / "bench" / "tasks-requirements.txt"
LOOK = 0.02  # seconds between two looks at what is left
DRAIN_LIMIT = 300.0  # seconds
SINGLES = 300
PICKUPS = 50  # a round; 250 in five
HELD = f"{PLINTH}, snapshot held"
HELD_FILLS = 4
WIDER = 4  # times as many tasks for those that run 200 at once: they would be done between a few looks

DRAIN = Measure("no-op tasks", "drain", "a second", more_is_better=True)
MEASURES = (
    DRAIN,
    Measure("CPU for each", "cpu", "us"),
    Measure("enqueue, one by one", "single", "a second", more_is_better=True),
    Measure("enqueue, many at once", "fill", "a second", more_is_better=True),
    Measure("pickup at idle, p50", "p50", "ms"),
    Measure("pickup at idle, p95", "p95", "ms"),
)

Figures = dict[str, float]


class Ground:
    """The servers, and a new database for each turn."""

    def __init__(self, postgres: PostgresServer, redis: RedisServer, folder: Path) -> None:
        self._postgres, self._redis, self._folder = postgres, redis, folder
        self._turns = 0

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[tuple[Contestant, str]]:
        self._turns += 1
        database = f"bench_{self._turns}"
        folder = self._folder / database
        folder.mkdir()
        await self._execute(f"CREATE DATABASE {database}")
        url = self._postgres.url_of(database)
        looking = await asyncpg.connect(url, ssl=False)
        try:
            contestant = CONTESTANTS[name](Place(url, folder, self._redis, looking.fetchval))
            await contestant.prepare()
            yield contestant, url
        finally:
            await looking.close()
            await self._execute(f"DROP DATABASE {database} WITH (FORCE)")

    def cpu(self, worker: int) -> float:
        """Seconds of CPU that the servers and this worker have taken so far."""
        return sum(_cpu(pid) for pid in (self._postgres.pid, self._redis.pid, worker))

    async def rest(self) -> None:
        """Have what one has written on the disk before the next begins."""
        await self._execute("CHECKPOINT")

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self._postgres.url, ssl=False)
        await connection.execute(sql)
        await connection.close()


async def compare(tasks: int, rounds: int) -> dict[str, list[Round]]:
    """Each contestant's figures, round by round."""
    found: dict[str, list[Round]] = {name: [] for name in (*CONTESTANTS, HELD)}
    async with _ground() as ground:
        for number in range(rounds):
            for name in turns(list(found), number):
                await ground.rest()
                found[name].append(await (_held(ground, tasks) if name == HELD else _measured(ground, name, tasks)))
                progress(f"round {number + 1} of {rounds}: {name}, {found[name][-1]['drain']:,.0f} a second")
    return found


@asynccontextmanager
async def _ground() -> AsyncIterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="bench-tasks-") as name:
        folder = Path(name)
        postgres = await start_postgres(folder / "postgres", user="plinth", password=PASSWORD, database="plinth")
        redis = await start_redis(folder / "redis")
        try:
            yield Ground(postgres, redis, folder)
        finally:
            await redis.stop()
            await postgres.stop()


async def _measured(ground: Ground, name: str, tasks: int) -> Figures:
    async with ground.turn(name) as (contestant, _):
        tasks *= WIDER if "200" in name else 1
        fill = await contestant.ask("fill", tasks)
        await ground.rest()
        async with contestant.working() as worker:
            drain = await _drained(contestant, tasks, cpu=functools.partial(ground.cpu, worker))
            pickups = sorted(await contestant.ask("pickup", PICKUPS))
        single = await contestant.ask("single", SINGLES)
    return {
        **drain,
        "fill": tasks / fill,
        "single": SINGLES / single,
        "p50": 1000 * pickups[len(pickups) // 2],
        "p95": 1000 * pickups[int(len(pickups) * 0.95)],
    }


async def _held(ground: Ground, tasks: int) -> Figures:
    """Ours with a snapshot open from the beginning: the last of several fills, when all rows before it are dead."""
    drain: Figures = {}
    async with ground.turn(PLINTH) as (contestant, url):
        holder = await asyncpg.connect(url, ssl=False)
        async with holder.transaction(isolation="repeatable_read"):
            await holder.fetchval("SELECT count(*) FROM tasks")
            for _ in range(HELD_FILLS):
                await contestant.ask("fill", tasks)
                await ground.rest()
                async with contestant.working() as worker:
                    drain = await _drained(contestant, tasks, cpu=functools.partial(ground.cpu, worker))
        await holder.close()
    return drain


async def _drained(contestant: Contestant, tasks: int, *, cpu: Callable[[], float]) -> Figures:
    """Tasks a second and CPU for each, from the first completions that are seen to the last one."""
    first: tuple[float, float, int] | None = None
    async with asyncio.timeout(DRAIN_LIMIT):
        while left := await contestant.left():
            if first is None and left < tasks:
                first = time.perf_counter(), cpu(), left
            await asyncio.sleep(LOOK)
    if first is None:
        raise RuntimeError("all was done between two looks: ask for more tasks")
    began, spent, left = first
    return {"drain": left / (time.perf_counter() - began), "cpu": 1e6 * (cpu() - spent) / left}


def _cpu(pid: int) -> float:
    """Of a process and its children, those that have ended included."""
    parent = psutil.Process(pid)
    seconds = parent.cpu_times().children_user + parent.cpu_times().children_system
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return float(seconds)


def main() -> None:
    """Measure, keep the figures, print them."""
    tasks, rounds = (int(given) for given in [*sys.argv[1:3], *("5000", "5")[len(sys.argv) - 1 :]])
    if not PEER_PYTHON.exists():
        sys.exit("The peers are not installed: `make bench-tasks` brings them.")
    configure_logging(parse_levels("warning"), json=False)
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        found = runner.run(compare(tasks, rounds))
    versions = installed("asyncpg", "uvloop") | pinned(PEERS, "procrastinate", "pgqueuer", "saq")
    part = Part(PART, series_of(PART, found, MEASURES), versions, {"tasks": f"{tasks:,}", "repeats": str(rounds)})
    keep(part)
    print(shown(part))  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main()
