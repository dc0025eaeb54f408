"""The kit's own promises."""

from __future__ import annotations

import asyncpg
import pytest
from redis.asyncio import Redis


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
