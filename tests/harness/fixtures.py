"""The fixtures of the kit; docs/testing.md has an example of each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from app.core.database import Database, open_database
from app.core.queue import Queue, open_queue
from app.core.settings.sections.server import HttpEngine
from app.embedded import PostgresServer, RedisServer, start_postgres, start_redis
from app.tasks import Registry
from tests.harness import plugin
from tests.harness.app_process import FAULT_TASKS, AppProcess, launch_app
from tests.harness.background import BackgroundLoop
from tests.harness.clock import FakeClock
from tests.harness.databases import Clones
from tests.harness.engines import usual_engine
from tests.harness.leftovers import service_folder
from tests.harness.ports import reserved_port
from tests.harness.redis_databases import claim_database
from tests.harness.run import migrate
from tests.harness.services import PASSWORD
from tests.harness.settings import TestSettings, make_settings
from tests.harness.stepped_worker import SteppedWorker, stepped_worker


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


@pytest.fixture(scope="session")
def settings_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> HttpEngine:
    """What speaks HTTP in the servers of this test; one that is marked `engines` runs once on each."""
    return HttpEngine(getattr(request, "param", usual_engine(os.environ)))


@pytest.fixture
def settings(settings_root: Path, database_url: str, redis_url: str, engine: HttpEngine) -> TestSettings:
    """Makes `Settings` that point at this test's own database and Redis."""
    return make_settings(settings_root, database_url=database_url, redis_url=redis_url, engine=engine)


@pytest.fixture
async def db(settings: TestSettings) -> AsyncIterator[Database]:
    """The open database of this test's own, with the migrated schema."""
    async with open_database(settings().database) as database:
        yield database


StartApp = Callable[..., Awaitable[AppProcess]]


@pytest.fixture
async def app_process(settings: TestSettings) -> AsyncIterator[StartApp]:
    """Starts real servers: `app = await app_process("server.request_timeout=1")`; all end with the test.

    `settings` points it at other services (`own_settings`); `module` names a module whose `feature` is added to
    the app's own, instead of the kit's fault routes.
    """
    async with AsyncExitStack() as running:

        async def start(*overrides: str, settings: TestSettings = settings, **options: Any) -> AppProcess:
            app = await running.enter_async_context(launch_app(settings, *overrides, **options))
            await app.listening()
            return app

        yield start


@pytest.fixture
async def worker_process(app_process: StartApp) -> StartApp:
    """Starts real workers, as `app_process` starts servers; their tasks are those of the kit (`FAULT_TASKS`)."""

    async def start(*overrides: str, module: str = FAULT_TASKS, **options: Any) -> AppProcess:
        return await app_process(*overrides, module=module, role="work", **options)

    return start


StartWorker = Callable[..., Awaitable[SteppedWorker]]


@pytest.fixture
async def worker(settings: TestSettings) -> AsyncIterator[StartWorker]:
    """Opens workers that are stepped: `worker = await worker(Registry([Handler(TASK, run)]), "worker.lease=5")`."""
    async with AsyncExitStack() as opened:

        async def start(registry: Registry, *overrides: str) -> SteppedWorker:
            return await opened.enter_async_context(stepped_worker(settings(*overrides), registry))

        yield start


@pytest.fixture
async def queue(db: Database) -> AsyncIterator[Queue]:
    """What asks for tasks, in `async with db.transaction()`; workers are told after its commit."""
    async with open_queue(db) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def own_port() -> Iterator[int]:
    """A port that is free for this test's servers, and for nobody else, until the test ends."""
    with reserved_port() as port:
        yield port


@pytest.fixture
def service_dir() -> Iterator[Path]:
    """An empty folder for the data of a service, in memory where there is room."""
    with service_folder("one") as folder:
        yield folder


@pytest.fixture(scope="module")
def own_postgres(background: BackgroundLoop) -> Iterator[PostgresServer]:
    """A PostgreSQL that this module may stop, stall and kill; every test must leave it running."""
    with service_folder("own") as folder, reserved_port() as port:
        data = folder / "postgres"
        start = start_postgres(data, port=port, user="plinth", password=PASSWORD, database="plinth", durable=False)
        server = background.call(start)
        yield server
        background.call(server.stop())


@pytest.fixture(scope="module")
def own_redis(background: BackgroundLoop) -> Iterator[RedisServer]:
    """A Redis that this module may stop, stall and kill; every test must leave it running."""
    with service_folder("own") as folder, reserved_port() as port:
        server = background.call(start_redis(folder / "redis", port=port, durable=False))
        yield server
        background.call(server.stop())


@pytest.fixture(scope="module")
def own_settings(
    settings_root: Path,
    own_postgres: PostgresServer,
    own_redis: RedisServer,
    engine: HttpEngine,
    background: BackgroundLoop,
) -> TestSettings:
    """Makes `Settings` that point at this module's own, migrated PostgreSQL and its own Redis."""
    settings = make_settings(settings_root, database_url=own_postgres.url, redis_url=own_redis.url, engine=engine)
    background.call(migrate(settings))
    return settings
