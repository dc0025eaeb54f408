"""A PostgreSQL as in production: it may crash, and what is committed is safe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.embedded import PostgresServer, start_postgres
from tests.harness.leftovers import service_folder
from tests.harness.run import migrate
from tests.harness.services import PASSWORD
from tests.harness.settings import TestSettings, make_settings


@pytest.fixture
async def durable_postgres(own_port: int) -> AsyncIterator[PostgresServer]:
    """Of this test's own; unlike `own_postgres` it keeps what is committed, and vacuums."""
    with service_folder("durable") as folder:
        start = start_postgres(folder / "postgres", port=own_port, user="plinth", password=PASSWORD, database="plinth")
        server = await start
        async with server:
            yield server


@pytest.fixture
async def durable(tmp_path: Path, durable_postgres: PostgresServer, redis_url: str) -> TestSettings:
    """Makes `Settings` for it, with the schema migrated."""
    settings = make_settings(tmp_path, database_url=durable_postgres.url, redis_url=redis_url)
    await migrate(settings)
    return settings
