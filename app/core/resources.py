"""What a running process holds open: opened in order, closed in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import structlog

from app.core.beside import beside
from app.core.clock import Clock, SystemClock
from app.core.database import Database, database_probe, open_database
from app.core.held import Held
from app.core.lifecycle import Lifecycle
from app.core.metrics import Metrics
from app.core.migrations import migrate_up, schema_probe
from app.core.observers import DatabaseObservers, RedisObservers
from app.core.probe import Probe
from app.core.queue import Queue, open_queue
from app.core.realtime import Publisher, open_publisher
from app.core.redis import Redis, open_redis, redis_probe
from app.core.settings import Settings
from app.core.tracing import open_tracing

if TYPE_CHECKING:  # imported where traces are on, and nowhere else
    from app.core.tracing.tracing import Tracing

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Resources:
    """Handed down by whoever serves; nothing in here is global."""

    settings: Settings
    lifecycle: Lifecycle
    clock: Clock
    metrics: Metrics
    tracing: Tracing | None
    database: Database
    database_probe: Probe
    schema_probe: Probe
    redis: Redis
    redis_probe: Probe
    realtime: Publisher
    queue: Queue
    held: Held = field(default_factory=Held)


@asynccontextmanager
async def open_resources(settings: Settings, lifecycle: Lifecycle) -> AsyncIterator[Resources]:
    """Migrate where the settings say so, open the pool and Redis, and keep the probes running.

    Raises `DatabaseUnavailable`, `UnsupportedServer` or `MigrationError`; Redis may be down.
    """
    clock, metrics = SystemClock(), Metrics()
    if settings.database.migrate_at_start:
        await migrate_up(settings.database)
    async with (
        _tracing(settings, metrics) as tracing,
        _closing("database", _pool(settings, metrics, tracing)) as database,
        _closing("redis", _redis(settings, metrics, tracing)) as redis,
        _running(database_probe(database, clock=clock)) as of_database,
        _running(schema_probe(database, clock=clock)) as of_schema,
        _running(redis_probe(redis, clock=clock)) as of_redis,
        _closing("realtime", open_publisher(redis, observer=metrics.sockets)) as realtime,
        open_queue(database, tracing) as queue,
        _closing("held", _held()) as held,
        beside(metrics.loop_lag.run(), name="loop lag"),
    ):
        metrics.follow_pool(database.stats)
        metrics.follow_probes(of_database, of_schema, of_redis)
        yield Resources(
            settings=settings,
            lifecycle=lifecycle,
            clock=clock,
            metrics=metrics,
            tracing=tracing,
            database=database,
            database_probe=of_database,
            schema_probe=of_schema,
            redis=redis,
            redis_probe=of_redis,
            realtime=realtime,
            queue=queue,
            held=held,
        )


@asynccontextmanager
async def _held() -> AsyncIterator[Held]:
    held = Held()
    try:
        yield held
    finally:
        await held.close()


def _tracing(settings: Settings, metrics: Metrics) -> AbstractAsyncContextManager[Tracing | None]:
    """The last to close, so that it sends what the others do at their end."""
    if not settings.telemetry.otlp_endpoint:
        return nullcontext()
    return _closing("tracing", open_tracing(settings, metrics))


def _pool(settings: Settings, metrics: Metrics, tracing: Tracing | None) -> AbstractAsyncContextManager[Database]:
    observer = DatabaseObservers(metrics.database, tracing.database) if tracing else metrics.database
    name, processes = settings.app.name, settings.app.processes
    return open_database(settings.database, application_name=name, processes=processes, observer=observer)


def _redis(settings: Settings, metrics: Metrics, tracing: Tracing | None) -> AbstractAsyncContextManager[Redis]:
    observer = RedisObservers(metrics.redis, tracing.redis) if tracing else metrics.redis
    return open_redis(settings.redis, observer=observer)


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
    async with beside(probe.run(), name=f"probe {probe.name}"):
        yield probe
