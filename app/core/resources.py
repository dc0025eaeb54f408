"""What a running process holds open: opened in order, closed in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog

from app.core.clock import Clock, SystemClock
from app.core.database import Database, database_probe, open_database
from app.core.lifecycle import Lifecycle
from app.core.migrations import migrate_up, schema_probe
from app.core.probe import Probe
from app.core.redis import Redis, open_redis, redis_probe
from app.core.settings import Settings

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Resources:
    """Handed down by whoever serves; nothing in here is global."""

    settings: Settings
    lifecycle: Lifecycle
    clock: Clock
    database: Database
    database_probe: Probe
    schema_probe: Probe
    redis: Redis
    redis_probe: Probe


@asynccontextmanager
async def open_resources(settings: Settings, lifecycle: Lifecycle) -> AsyncIterator[Resources]:
    """Migrate where the settings say so, open the pool and Redis, and keep the probes running.

    Raises `DatabaseUnavailable`, `UnsupportedServer` or `MigrationError`; Redis may be down.
    """
    clock = SystemClock()
    if settings.database.migrate_at_start:
        await migrate_up(settings.database)
    async with (
        _closing("database", _open_pool(settings)) as database,
        _closing("redis", open_redis(settings.redis)) as redis,
        _running(database_probe(database, clock=clock)) as of_database,
        _running(schema_probe(database, clock=clock)) as of_schema,
        _running(redis_probe(redis, clock=clock)) as of_redis,
    ):
        yield Resources(settings, lifecycle, clock, database, of_database, of_schema, redis, of_redis)


def _open_pool(settings: Settings) -> AbstractAsyncContextManager[Database]:
    return open_database(settings.database, application_name=settings.app.name, processes=settings.app.processes)


@asynccontextmanager
async def _closing(name: str, opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Log how closing went; a failure to close one resource must not keep the others open."""
    resource = await opening.__aenter__()
    try:
        yield resource
    finally:
        try:
            await opening.__aexit__(None, None, None)
            log.info("resource_closed", resource=name)
        except Exception:
            log.exception("resource_close_failed", resource=name)


@asynccontextmanager
async def _running(probe: Probe) -> AsyncIterator[Probe]:
    """Ask once before anybody reads the answer, then at intervals until the block ends."""
    await probe.check_once()
    task = asyncio.create_task(probe.run(), name=f"probe {probe.name}")
    try:
        yield probe
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
