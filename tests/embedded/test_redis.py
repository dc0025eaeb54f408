from __future__ import annotations

import socket
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError

from app.embedded import EmbeddedError, start_redis
from tests.harness.processes import kill


async def test_it_answers_to_its_url_and_to_nobody_without_the_password(service_dir: Path) -> None:
    async with await start_redis(service_dir / "redis") as server:
        async with Redis.from_url(server.url) as client:
            assert await client.ping()
        async with Redis(host=server.host, port=server.port, retry=Retry(NoBackoff(), 0)) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()


async def test_what_it_held_is_there_after_a_restart(service_dir: Path, own_port: int) -> None:
    async with await start_redis(service_dir / "redis", port=own_port) as server:
        async with Redis.from_url(server.url) as client:
            await client.set("kept", "yes")

        await server.restart()

        async with Redis.from_url(server.url) as client:
            assert await client.get("kept") == b"yes"


async def test_it_starts_again_after_a_kill(service_dir: Path, own_port: int) -> None:
    async with await start_redis(service_dir / "redis", port=own_port, durable=False) as server:
        kill(server.pid)

        await server.restart()

        async with Redis.from_url(server.url) as client:
            assert await client.ping()


async def test_a_broken_dump_is_set_aside(service_dir: Path) -> None:
    folder = service_dir / "redis"
    async with await start_redis(folder) as server, Redis.from_url(server.url) as client:
        await client.set("kept", "yes")
    (folder / "dump.rdb").write_bytes(b"REDIS0009 and then nothing that makes sense")

    async with await start_redis(folder) as server, Redis.from_url(server.url) as client:
        assert await client.dbsize() == 0

    assert (folder / "dump.broken").exists()


async def test_a_taken_port_is_named(service_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"Port {port} on 127.0.0.1 is taken by another program"):
            await start_redis(service_dir / "redis", port=port)


async def test_a_folder_that_cannot_be_made_is_named(service_dir: Path) -> None:
    (service_dir / "redis").touch()

    with pytest.raises(EmbeddedError, match=r"The data folder cannot be used: .*redis"):
        await start_redis(service_dir / "redis")
