"""A database with the tests' own tables, and the settings behind it."""

from __future__ import annotations

import pytest

from app.core.database import Database
from app.core.settings.sections import Database as DatabaseSettings
from tests.core.database.tables import create_tables
from tests.harness.settings import TestSettings


@pytest.fixture
def database_settings(settings: TestSettings) -> DatabaseSettings:
    return settings().database


@pytest.fixture
async def shop(db: Database) -> Database:
    """A database with shelves and books."""
    await create_tables(db)
    return db
