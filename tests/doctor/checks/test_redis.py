"""Redis, real and in trouble, and what is not Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from redis.asyncio import Redis

from app.doctor import Status
from app.doctor.checks.redis import redis
from app.embedded import RedisServer
from tests.doctor.project import Project
from tests.doctor.servers import redis_of_old, saying, serving, silent
from tests.harness.waiting import eventually

pytestmark = pytest.mark.xdist_group("doctor-redis")


@asynccontextmanager
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as connected:
        yield connected


async def test_redis_that_answers(project: Project, own_redis: RedisServer) -> None:
    finding = await project.finding(redis, f"redis.url={own_redis.url}")

    assert finding.status is Status.OK
    assert finding.seen.startswith("Redis 6.2")
    assert own_redis.password not in finding.seen


async def test_wrong_password(project: Project, own_redis: RedisServer) -> None:
    for login in ("", ":wrong-password@"):
        finding = await project.finding(redis, f"redis.url=redis://{login}127.0.0.1:{own_redis.port}/0")

        assert finding.status is Status.FAILED
        assert finding.seen == f"Redis at redis://127.0.0.1:{own_redis.port}/0 refuses the password of redis.url"


async def test_nothing_where_the_settings_say_is_a_warning(project: Project, own_port: int) -> None:
    url = f"redis://127.0.0.1:{own_port}/0"

    finding = await project.finding(redis, f"redis.url={url}")

    assert finding.status is Status.WARNING
    assert finding.seen == f"no Redis answers at {url} (nothing listens): the service runs without, and says so"


async def test_silent_server(project: Project) -> None:
    async with serving(silent) as port:
        finding = await project.finding(redis, f"redis.url=redis://127.0.0.1:{port}/0")

    assert finding.status is Status.WARNING
    assert "(no answer within 2 s)" in finding.seen


async def test_http_server_in_its_place(project: Project) -> None:
    async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        finding = await project.finding(redis, f"redis.url=redis://127.0.0.1:{port}/0")

    assert finding.status is Status.FAILED
    assert "is not a usable Redis" in finding.seen


async def test_older_redis(project: Project) -> None:
    async with serving(redis_of_old("5.0.7")) as port:
        finding = await project.finding(redis, f"redis.url=redis://127.0.0.1:{port}/0")

    assert finding.status is Status.WARNING
    assert finding.seen == f"Redis 5.0.7 at redis://127.0.0.1:{port}/0 is older than 6.2"


async def test_replica_takes_no_writes(project: Project, own_redis: RedisServer) -> None:
    async with client(own_redis) as connected:
        await connected.replicaof("127.0.0.1", 1)
        finding = await project.finding(redis, f"redis.url={own_redis.url}")
        await connected.replicaof("NO", "ONE")

    assert finding.status is Status.FAILED
    assert finding.seen.endswith("is a replica: it takes no writes")


async def test_redis_that_cannot_write_its_data(project: Project, own_redis: RedisServer) -> None:
    broken = own_redis.data_dir / "broken.rdb"
    async with client(own_redis) as connected:
        broken.mkdir()  # a folder where the dump belongs: renaming onto it fails, for root too
        (broken / "in-the-way").touch()
        await connected.config_set("dbfilename", broken.name)
        await connected.bgsave()
        await eventually(partial(failed_save, connected), within=10)
        finding = await project.finding(redis, f"redis.url={own_redis.url}")
        await mend(connected)

    assert finding.status is Status.FAILED
    assert "can't write its data to disk" in finding.seen


async def failed_save(connected: Redis) -> bool:
    return bool((await connected.info("persistence"))["rdb_last_bgsave_status"] == "err")


async def mend(connected: Redis) -> None:
    await connected.config_set("dbfilename", "dump.rdb")
    await connected.save()
