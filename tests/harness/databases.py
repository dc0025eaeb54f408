"""A migrated template database once per run, and a clone of it for each test."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import asyncpg

from tests.harness.background import BackgroundLoop

PREFIX = "plinth_test_"
# Other runs on the same server find out through this lock whether a run still lives.
LOCK_SPACE = 0x706C696E


def at(server_url: str, database: str) -> str:
    """The same server and login, another database."""
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, timeout=30)


def template_name(run_id: str) -> str:
    return f"{PREFIX}{run_id}_template"


async def make_template(connection: asyncpg.Connection, run_id: str) -> None:
    name = template_name(run_id)
    # The same sorting and case rules wherever the server comes from.
    await connection.execute(
        f"""CREATE DATABASE "{name}" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin LOCALE 'C.UTF-8'"""
    )


async def hold_run(connection: asyncpg.Connection, run_id: str) -> None:
    """Mark the run as alive for as long as `connection` lives."""
    await connection.execute("SELECT pg_advisory_lock($1, hashtext($2))", LOCK_SPACE, run_id)


async def drop_run(connection: asyncpg.Connection, run_id: str) -> None:
    """Drop every database of a run, whoever is still connected."""
    for name in (
        await connection.fetchval(
            "SELECT array_agg(datname) FROM pg_database WHERE starts_with(datname, $1)", f"{PREFIX}{run_id}_"
        )
        or []
    ):
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def drop_dead_runs(connection: asyncpg.Connection) -> None:
    """Clear away what killed runs have left on a server that outlives them."""
    names = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", PREFIX)
    for run_id in {row["datname"].removeprefix(PREFIX).partition("_")[0] for row in names}:
        lock = (LOCK_SPACE, run_id)
        if await connection.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", *lock):
            await drop_run(connection, run_id)
            await connection.execute("SELECT pg_advisory_unlock($1, hashtext($2))", *lock)


@dataclass
class Clones:
    """Makes and drops the databases of one process's tests; `seconds` says how long each took to make."""

    server_url: str
    run_id: str
    process: str
    loop: BackgroundLoop
    seconds: list[float] = field(default_factory=list)
    _pool: asyncpg.Pool | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _drops: list[Future[None]] = field(default_factory=list)

    def make(self) -> str:
        """The URL of a fresh clone."""
        name = f"{PREFIX}{self.run_id}_{self.process}_{next(self._numbers)}"
        started = time.perf_counter()
        # WAL_LOG beats FILE_COPY for a small template: without a checkpoint it is as fast and far more even.
        template = template_name(self.run_id)
        self.loop.call(self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY wal_log'))
        self.seconds.append(time.perf_counter() - started)
        return at(self.server_url, name)

    def drop(self, url: str) -> None:
        """Drop in the background: the next test need not wait for it."""
        name = urlsplit(url).path.removeprefix("/")
        self._drops.append(self.loop.begin(self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')))

    def close(self) -> None:
        """Wait for the drops, and raise what went wrong in them."""
        for dropped in self._drops:
            dropped.result()
        if self._pool is not None:
            self.loop.call(self._pool.close())

    async def _execute(self, sql: str) -> None:
        if self._pool is None:
            # Two connections: one makes while the other drops.
            self._pool = await asyncpg.create_pool(self.server_url, min_size=1, max_size=2)
        await self._pool.execute(sql)
