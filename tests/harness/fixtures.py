"""The fixtures of the kit; docs/testing.md has an example of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.embedded import PostgresServer, RedisServer, start_postgres, start_redis
from tests.harness import plugin
from tests.harness.background import BackgroundLoop
from tests.harness.clock import FakeClock
from tests.harness.databases import Clones
from tests.harness.redis_databases import claim_database
from tests.harness.services import PASSWORD


@pytest.fixture(scope="session")
def background(pytestconfig: pytest.Config) -> BackgroundLoop:
    """An event loop in a thread that lives as long as the process."""
    return pytestconfig.stash[plugin.LOOP]


@pytest.fixture(scope="session")
def clones(pytestconfig: pytest.Config, background: BackgroundLoop) -> Clones:
    run = plugin.opened(pytestconfig)
    process = (plugin.worker_input(pytestconfig) or {}).get("workerid", "main")
    return pytestconfig.stash.setdefault(plugin.CLONES, Clones(run.postgres, run.run_id, process, background))


@pytest.fixture
def database_url(clones: Clones) -> Iterator[str]:
    """A migrated PostgreSQL database of this test's own."""
    url = clones.make()
    yield url
    clones.drop(url)


@pytest.fixture(scope="session")
def worker_redis_url(pytestconfig: pytest.Config) -> Iterator[str]:
    run = plugin.opened(pytestconfig)
    with claim_database(run.redis, run.run_id) as url:
        yield url


@pytest.fixture
def redis_url(worker_redis_url: str) -> str:
    """An empty Redis database that no other test uses meanwhile."""
    with Redis.from_url(worker_redis_url) as redis:
        redis.flushdb()
    return worker_redis_url


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory, background: BackgroundLoop) -> Iterator[PostgresServer]:
    """A PostgreSQL that this module may stop, stall and kill; every test must leave it running."""
    folder = Path(tmp_path_factory.mktemp("own"), "postgres")
    start = start_postgres(folder, user="plinth", password=PASSWORD, database="plinth", durable=False)
    server = background.call(start)
    yield server
    background.call(server.stop())


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory, background: BackgroundLoop) -> Iterator[RedisServer]:
    """A Redis that this module may stop, stall and kill; every test must leave it running."""
    server = background.call(start_redis(Path(tmp_path_factory.mktemp("own"), "redis"), durable=False))
    yield server
    background.call(server.stop())
