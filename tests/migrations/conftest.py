"""Databases with nothing in them, migrations folders to write into, and clients that stand in the way."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.core.migrations import MIGRATIONS, read_history
from tests.harness.background import BackgroundLoop
from tests.harness.databases import PREFIX, Clones, at, connect
from tests.harness.settings import TestSettings, make_settings

NO_REDIS = "redis://127.0.0.1:1/0"  # nothing here asks for it

numbers = itertools.count()


@pytest.fixture
def empty(settings_root: Path, clones: Clones, background: BackgroundLoop) -> Iterator[TestSettings]:
    """Makes `Settings` that point at a database of this test's own with nothing in it."""
    name = f"{PREFIX}{clones.run_id}_{clones.process}_empty_{next(numbers)}"
    background.call(_execute(clones.server_url, f'CREATE DATABASE "{name}" TEMPLATE template0'))
    yield make_settings(settings_root, database_url=at(clones.server_url, name), redis_url=NO_REDIS)
    background.call(_execute(clones.server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def migrated(settings_root: Path, database_url: str) -> TestSettings:
    """Makes `Settings` that point at a migrated database of this test's own."""
    return make_settings(settings_root, database_url=database_url, redis_url=NO_REDIS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of migrations/ to write into."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=ignore))


AddRevision = Callable[..., str]


@pytest.fixture
def add_revision(folder: Path) -> AddRevision:
    """`add_revision("ALTER TABLE ...")` writes the next file in `folder` and returns its number."""

    def add(up: str, down: str = "SELECT 1") -> str:
        head = read_history(folder).head or "0"
        number = f"{int(head) + 1:04d}"
        (folder / "versions" / f"{number}_test.py").write_text(
            f'"""A revision of a test."""\n\nfrom alembic import op\n\n'
            f'revision = "{number}"\ndown_revision = "{head}"\n\n\n'
            f"def upgrade() -> None:\n    op.execute({up!r})\n\n\n"
            f"def downgrade() -> None:\n    op.execute({down!r})\n"
        )
        return number

    return add


@pytest.fixture
def events() -> Iterator[list[EventDict]]:
    """What the runner logs in this process."""
    with capture_logs() as captured:
        yield captured


Connect = Callable[[TestSettings], Awaitable[asyncpg.Connection]]


@pytest.fixture
async def client() -> AsyncIterator[Connect]:
    """`await client(settings)` is some other session on the same database; all end with the test."""
    opened: list[asyncpg.Connection] = []

    async def open_client(settings: TestSettings) -> asyncpg.Connection:
        opened.append(await connect(settings.environ["APP_DATABASE__URL"]))
        return opened[-1]

    yield open_client
    for connection in opened:
        connection.terminate()


async def _execute(url: str, sql: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
