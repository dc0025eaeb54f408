"""What an own database costs each test: a clone of a migrated template, beside migrating anew and beside TRUNCATE.

`python -m bench.templates [COUNT] [ROUNDS]`. On the services that the suite starts without Docker, with its options:
fsync is off. In each round every way gives COUNT empty databases, one after another; a round's figure is their median.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from app.core.telemetry import configure_logging, parse_levels
from app.server.engine import loop_factory
from bench.figures import Part, keep
from bench.machine import installed
from bench.measures import Measure, Round, progress, series_of, turns
from bench.tables import shown
from tests.harness.databases import at, drop_run, make_template, template_name
from tests.harness.run import migrate
from tests.harness.services import Addresses, Way, open_services
from tests.harness.settings import make_settings

PART = "templates"
MS = 1000
TABLES = "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables WHERE schemaname = 'public'"
KEPT = "alembic_version"  # without it nobody would know what the schema is

CLONE = "clone, strategy wal_log (the suite's)"
MEASURES = (
    Measure("until the test can begin", "make", "ms"),
    Measure("to clear it away", "drop", "ms"),
)


@dataclass(frozen=True)
class Ground:
    """A server with a migrated template; `run_id` names what belongs to this run."""

    services: Addresses
    connection: asyncpg.Connection
    run_id: str
    folder: Path

    @property
    def template(self) -> str:
        return template_name(self.run_id)

    async def execute(self, sql: str) -> None:
        await self.connection.execute(sql)

    async def migrate(self, database: str) -> None:
        url = at(self.services.postgres, database)
        await migrate(make_settings(self.folder, database_url=url, redis_url=self.services.redis))

    async def drop(self, database: str) -> None:
        await self.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


Making = Callable[[Ground, str], Awaitable[None]]


def cloned(strategy: str) -> Making:
    async def make(ground: Ground, name: str) -> None:
        await ground.execute(f'CREATE DATABASE "{name}" TEMPLATE "{ground.template}" STRATEGY {strategy}')

    return make


async def migrated(ground: Ground, name: str) -> None:
    await ground.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    await ground.migrate(name)


NEW_DATABASES: dict[str, Making] = {
    CLONE: cloned("wal_log"),
    "clone, strategy file_copy": cloned("file_copy"),
    "migrated anew": migrated,
}
TRUNCATED = "one database, TRUNCATE of all tables"


async def measure(ground: Ground, name: str, count: int) -> Round:
    """Medians in milliseconds."""
    if name == TRUNCATED:
        return await _truncated(ground, count)
    made, dropped = [], []
    for number in range(count):
        database = f"{ground.template}_{number}"
        made.append(await _ms(NEW_DATABASES[name](ground, database)))
        dropped.append(await _ms(ground.drop(database)))
    return {"make": statistics.median(made), "drop": statistics.median(dropped)}


async def _truncated(ground: Ground, count: int) -> Round:
    """The database is there before the first test, and stays; what each test costs is to empty it."""
    database = f"{ground.template}_shared"
    await NEW_DATABASES[CLONE](ground, database)
    connection = await asyncpg.connect(at(ground.services.postgres, database))
    tables = await connection.fetchval(f"{TABLES} AND tablename <> $1", KEPT)
    took = [await _ms(connection.execute(f"TRUNCATE {tables} CASCADE")) for _ in range(count)]
    await connection.close()
    await ground.drop(database)
    return {"make": statistics.median(took)}


async def _ms(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * MS


async def compare(count: int, rounds: int) -> dict[str, list[Round]]:
    """Each way's figures, round by round."""
    found: dict[str, list[Round]] = {name: [] for name in (*NEW_DATABASES, TRUNCATED)}
    async with open_services(Way.EMBEDDED, f"bench-{os.getpid()}") as services:
        connection = await asyncpg.connect(services.postgres)
        with tempfile.TemporaryDirectory() as folder:
            ground = Ground(services, connection, f"bench{os.getpid()}", Path(folder))
            await make_template(connection, ground.run_id)
            await ground.migrate(ground.template)
            for name in found:
                await measure(ground, name, 1)  # warm
            for number in range(rounds):
                for name in turns(list(found), number):
                    found[name].append(await measure(ground, name, count))
                progress(f"round {number + 1} of {rounds}")
            await drop_run(connection, ground.run_id)
        await connection.close()
    return found


def main() -> None:
    """Measure, keep the figures, print them."""
    count, rounds = (int(given) for given in [*sys.argv[1:3], *("20", "5")[len(sys.argv) - 1 :]])
    configure_logging(parse_levels("warning"), json=False)
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        found = runner.run(compare(count, rounds))
    terms = {"databases of each way": str(count), "repeats": str(rounds)}
    part = Part(PART, series_of(PART, found, MEASURES), installed("asyncpg", "alembic"), terms)
    keep(part)
    print(shown(part))  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main()
