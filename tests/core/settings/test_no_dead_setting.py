"""No declared setting is dead: each is read by the code that it is meant to change."""

from __future__ import annotations

import pytest

from app.core.settings import PROJECT_ROOT
from app.core.settings.declarations import STORED
from tests.core.settings.reading import keys_read

# Where each key takes effect; a new key belongs here together with the code that reads it.
READERS = {
    "app.name": "app/core/resources.py",
    "app.processes": "app/core/resources.py",
    "server.host": "app/server/lifecycle.py",
    "server.port": "app/server/lifecycle.py",
    "server.backlog": "app/server/lifecycle.py",
    "server.request_timeout": "app/server/app.py",
    "server.shutdown_timeout": "app/server/lifecycle.py",
    "server.drain_delay": "app/server/lifecycle.py",
    "server.event_loop": "app/server/lifecycle.py",
    "server.cors_origins": "app/server/app.py",
    "database.host": "app/core/database/options.py",
    "database.port": "app/core/database/options.py",
    "database.name": "app/core/database/options.py",
    "database.user": "app/core/database/options.py",
    "database.password": "app/core/database/options.py",
    "database.sslmode": "app/core/database/options.py",
    "database.pool_min": "app/core/database/options.py",
    "database.pool_max": "app/core/database/options.py",
    "database.connect_timeout": "app/core/database/options.py",
    "database.acquire_timeout": "app/core/database/database.py",
    "database.command_timeout": "app/core/database/options.py",
    "database.statement_timeout": "app/core/database/options.py",
    "database.lock_timeout": "app/core/database/options.py",
    "database.idle_in_transaction_timeout": "app/core/database/options.py",
    "database.idle_timeout": "app/core/database/options.py",
    "database.start_timeout": "app/core/database/opening.py",
    "database.health_interval": "app/core/database/health.py",
    "database.health_timeout": "app/core/database/health.py",
    "database.pooler_mode": "app/core/database/options.py",
    "database.migrate_at_start": "app/core/resources.py",
    "database.migration_wait": "app/core/migrations/runner.py",
    "database.migration_lock_timeout": "app/core/migrations/connection.py",
    "database.migration_statement_timeout": "app/core/migrations/connection.py",
    "redis.url": "app/core/redis.py",
    "redis.timeout": "app/core/redis.py",
    "redis.pool_max": "app/core/redis.py",
    "redis.health_interval": "app/core/redis.py",
    "log.level": "app/server/lifecycle.py",
    "log.format": "app/server/lifecycle.py",
}


def test_every_key_has_a_reader() -> None:
    assert set(READERS) == set(STORED)


@pytest.mark.parametrize("key", READERS)
def test_the_reader_reads_it(key: str) -> None:
    source = (PROJECT_ROOT / READERS[key]).read_text("utf-8")

    assert key in keys_read(source)


def test_nobody_else_knows_dynaconf() -> None:
    allowed = PROJECT_ROOT / "app" / "core" / "settings"
    offenders = [
        str(path.relative_to(PROJECT_ROOT))
        for path in sorted((PROJECT_ROOT / "app").rglob("*.py"))
        if allowed not in path.parents and "dynaconf" in path.read_text("utf-8").lower()
    ]

    assert offenders == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(settings): return settings.database.pool_max",
        "def f(resources):\n    database = resources.settings.database\n    return database.pool_max",
        "from app.core.settings.sections import Database as Db\ndef f(x: Db): return x.pool_max",
        "from app.core.settings.sections import Database\nclass C:\n    s: Database\n    def f(self): self.s.pool_max",
    ],
)
def test_a_reader_is_recognised(source: str) -> None:
    assert "database.pool_max" in keys_read(source)


@pytest.mark.parametrize(
    "source",
    [
        "# settings.database.pool_max",
        "'settings.database.pool_max'",
        "def f(settings): return settings.redis.pool_max",
        "def f(settings): settings.database.pool_max = 5",
        "def f(pool): return pool.pool_max",
    ],
)
def test_what_is_no_reader_is_not_taken_for_one(source: str) -> None:
    assert "database.pool_max" not in keys_read(source)
