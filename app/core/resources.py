"""What a running process holds open, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from app.core.clock import Clock, SystemClock
from app.core.database import Database, open_database
from app.core.lifecycle import Lifecycle
from app.core.migrations import schema_probe
from app.core.probe import Probe
from app.core.redis import Redis, open_redis
from app.core.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Resources:
    """Handed to every feature when its routes are built; nothing here is global."""

    settings: Settings
    lifecycle: Lifecycle
    clock: Clock
    database: Database
    database_probe: Probe
    schema_probe: Probe
    redis: Redis
    redis_probe: Probe
