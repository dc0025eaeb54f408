"""PostgreSQL and Redis in containers of this run, by testcontainers."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

# The library's own reaper is one more image to pull, which fails wherever no registry answers; `_reaper` does
# its work. The library reads this once, when it is imported.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.redis import RedisContainer

from app.embedded.postgres import NOT_DURABLE
from tests.harness.engine import POSTGRES_IMAGE, REDIS_IMAGE
from tests.harness.services import PASSWORD, Addresses

LABEL = "plinth.test.run"


@asynccontextmanager
async def open_containers(run_id: str) -> AsyncIterator[Addresses]:
    """Both at once; gone at the end of the block, and also when this process is killed inside it."""
    postgres, redis = _postgres(run_id), _redis(run_id)
    with _reaper(run_id):
        try:
            await asyncio.gather(asyncio.to_thread(postgres.start), asyncio.to_thread(redis.start))
            host, port = redis.get_container_host_ip(), redis.get_exposed_port(redis.port)
            yield Addresses(postgres.get_connection_url(), f"redis://{host}:{port}/0")
        finally:
            await asyncio.gather(asyncio.to_thread(postgres.stop), asyncio.to_thread(redis.stop))


def _postgres(run_id: str) -> PostgresContainer:
    container = PostgresContainer(POSTGRES_IMAGE, username="plinth", password=PASSWORD, dbname="plinth", driver=None)
    options = [part for option in ("max_connections=200", *NOT_DURABLE) for part in ("-c", option)]
    container.with_command(["postgres", *options])
    container.with_env("POSTGRES_INITDB_ARGS", "--no-sync")
    # PostgreSQL 18 images keep their data one folder below this one.
    container.with_tmpfs_mount("/var/lib/postgresql")
    return container.with_kwargs(labels={LABEL: run_id})


def _redis(run_id: str) -> RedisContainer:
    container = RedisContainer(REDIS_IMAGE)
    container.with_command(["redis-server", "--save", "", "--appendonly", "no", "--databases", "256"])
    return container.with_kwargs(labels={LABEL: run_id})


@contextmanager
def _reaper(run_id: str) -> Iterator[None]:
    """A process that outlives a killed run for as long as it takes to remove the run's containers."""
    ours = f"$(docker ps --all --quiet --filter label={LABEL}={run_id})"
    script = f'cat; ids="{ours}"; [ -z "$ids" ] || docker rm --force --volumes $ids'
    waiting = subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    with waiting:  # closes its input, which it takes for our end, and waits for it
        yield
