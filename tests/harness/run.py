"""One run of the suite: its services and its template database, opened once, closed whatever happens."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from structlog.testing import capture_logs

from app.core.migrations import migrate_up
from tests.harness import databases
from tests.harness.background import BackgroundLoop
from tests.harness.leftovers import fastest_place, remove_dead_folders
from tests.harness.services import Addresses, Choice, open_services
from tests.harness.settings import TestSettings, make_settings


@dataclass(frozen=True)
class Opened:
    """What every process of the run must know, and how long it took."""

    run_id: str
    postgres: str
    redis: str
    services_seconds: float
    migrate_seconds: float


class Run:
    """Belongs to the process that the person started; workers are told what is `opened`."""

    def __init__(self, choice: Choice, loop: BackgroundLoop) -> None:
        self.run_id = secrets.token_hex(4)
        self._choice = choice
        self._loop = loop
        self._open_things = AsyncExitStack()

    @cached_property
    def opened(self) -> Opened:
        """Opened at the first use, so that a run of pure functions starts nothing."""
        return self._loop.call(self._open())

    @property
    def used(self) -> bool:
        return "opened" in vars(self)

    def close(self) -> None:
        self._loop.call(self._open_things.aclose())

    async def _open(self) -> Opened:
        remove_dead_folders(fastest_place())
        started = time.perf_counter()
        services = open_services(self._choice.way, self.run_id)
        addresses = await self._open_things.enter_async_context(services)
        serving = time.perf_counter()
        await self._open_things.enter_async_context(_template(addresses, self.run_id))
        return Opened(
            self.run_id, addresses.postgres, addresses.redis, serving - started, time.perf_counter() - serving
        )


@asynccontextmanager
async def _template(addresses: Addresses, run_id: str) -> AsyncIterator[None]:
    connection = await databases.connect(addresses.postgres)
    try:
        await databases.hold_run(connection, run_id)
        await databases.drop_dead_runs(connection)
        await databases.make_template(connection, run_id)
        await _migrate_template(addresses, run_id)
        yield
    finally:
        await databases.drop_run(connection, run_id)
        await connection.close()


async def _migrate_template(addresses: Addresses, run_id: str) -> None:
    template = databases.at(addresses.postgres, databases.template_name(run_id))
    with TemporaryDirectory() as root:
        await migrate(make_settings(Path(root), database_url=template, redis_url=addresses.redis))


async def migrate(settings: TestSettings) -> None:
    """Bring the database up to date without a word: its log would land between pytest's lines."""
    with capture_logs():
        await migrate_up(settings().database)
