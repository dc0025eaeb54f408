"""Connections of the runner's own, beside those that its handlers use up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from app.core.database import Database
from app.core.resources import Resources

MOST = 4  # a claim, an end, a renewal and a look for lost workers at once


@asynccontextmanager
async def open_own_database(resources: Resources) -> AsyncIterator[Database]:
    """A small pool, which opens its connections when they are needed."""
    settings = replace(resources.settings.database, pool_min=0, pool_max=MOST)
    name = resources.database.application_name
    database = Database(settings, application_name=name, observer=resources.metrics.database)
    await database.connect()
    try:
        yield database
    finally:
        await database.disconnect()
