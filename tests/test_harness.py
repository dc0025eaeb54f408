"""The kit's own promises."""

from __future__ import annotations

import asyncpg
import pytest
from redis.asyncio import Redis

from app.core.database import Database
from tests.harness.fixtures import StartApp


@pytest.mark.parametrize("turn", range(4))
async def test_every_test_has_an_empty_database_of_its_own(database_url: str, turn: int) -> None:
    connection = await asyncpg.connect(database_url)

    await connection.execute(f"CREATE TABLE mine (turn_{turn} int)")

    await connection.close()


@pytest.mark.parametrize("turn", range(4))
async def test_every_test_finds_redis_empty(redis_url: str, turn: int) -> None:
    async with Redis.from_url(redis_url) as redis:
        assert await redis.dbsize() == 0

        await redis.set("mine", turn)


async def test_db_is_the_migrated_schema(db: Database) -> None:
    assert await db.fetch_val("SELECT count(*) FROM users") == 0


async def test_app_process_serves(app_process: StartApp) -> None:
    app = await app_process()

    answer = await app.http.get("/health/live")
    app.terminate()

    assert answer.status_code == 200
    assert await app.wait(within=10) == 0
