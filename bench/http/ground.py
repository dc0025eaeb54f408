"""Where the contestants meet: one PostgreSQL that waits for its disk, one Redis, and the same rows for each turn."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from app.core.migrations import migrate_up
from app.embedded import RedisServer, start_postgres, start_redis
from app.embedded.ports import free_port
from app.embedded.postgres import PostgresServer
from bench.http.contestants import Place
from bench.http.seeds import Seeds, sow
from bench.http.server import cpu_of
from tests.harness.services import PASSWORD
from tests.harness.settings import make_settings

PEOPLE = 1000


@dataclass(frozen=True)
class Ground:
    """The services, what lies in the database, and a connection to look at it."""

    postgres: PostgresServer
    redis: RedisServer
    folder: Path
    database: asyncpg.Connection
    seeds: Seeds
    sown_at: datetime

    @property
    def tokens(self) -> Path:
        """A file with one in each line."""
        return self.folder / "tokens"

    def place(self) -> Place:
        return Place(
            self.postgres.url, self.redis.url, Path(tempfile.mkdtemp(dir=self.folder, prefix="turn-")), free_port()
        )

    def cpu(self) -> float:
        """Seconds of CPU that PostgreSQL has taken so far."""
        return cpu_of(self.postgres.pid)

    async def reset(self) -> None:
        """As it was sown, and on the disk, so that nobody pays for what another one has written."""
        await self.database.execute("DELETE FROM items WHERE created_at > $1", self.sown_at)
        await self.database.execute("TRUNCATE outbox")
        await self.database.execute("VACUUM ANALYZE items, api_keys, users")
        await self.database.execute("CHECKPOINT")
        async with Redis.from_url(self.redis.url) as redis:
            await redis.flushdb()

    async def written(self) -> tuple[int, int]:
        """Items since the last reset, and events, at one moment: some may still be on their way."""
        row = await self.database.fetchrow(
            "SELECT (SELECT count(*) FROM items WHERE created_at > $1), (SELECT count(*) FROM outbox)", self.sown_at
        )
        return row[0], row[1]


@asynccontextmanager
async def open_ground() -> AsyncIterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="bench-http-") as name:
        folder = Path(name)
        postgres = await start_postgres(folder / "postgres", user="plinth", password=PASSWORD, database="plinth")
        redis = await start_redis(folder / "redis")
        try:
            settings = make_settings(folder, database_url=postgres.url, redis_url=redis.url)
            await migrate_up(settings().database)
            database = await asyncpg.connect(postgres.url, ssl=False)
            seeds = await sow(database, people=PEOPLE)
            ground = Ground(postgres, redis, folder, database, seeds, await database.fetchval("SELECT now()"))
            ground.tokens.write_text("".join(f"{token}\n" for token in seeds.tokens))
            yield ground
            await database.close()
        finally:
            await redis.stop()
            await postgres.stop()
