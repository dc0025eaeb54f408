"""The libraries' loggers show no arguments, no password, and one line per outage."""

from __future__ import annotations

import logging

import pytest

from app.core.database import Database
from app.core.database.quiet import OncePerOutage
from tests.harness.settings import TestSettings


async def test_no_argument_reaches_the_log_of_databases(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="databases"):
        await db.fetch_one("SELECT CAST(:x AS text)", {"x": "very-secret"})
        logging.getLogger("databases").debug("Query: %s Args: %s", "SELECT $1", ("very-secret",))

    assert "very-secret" not in caplog.text


async def test_the_password_is_nowhere_to_be_seen(settings: TestSettings, caplog: pytest.LogCaptureFixture) -> None:
    chosen = settings("database.password=a/b:c@d%e very-secret").database
    with caplog.at_level(logging.DEBUG):
        db = Database(chosen)

    shown = f"{db} {db!r} {db.url} {db.url!r} {db.options} {vars(db)} {vars(db._backend)} {chosen} {caplog.text}"
    assert "very-secret" not in shown
    assert db.url.username == chosen.user
    assert db.url.database == chosen.name


@pytest.mark.parametrize("host", ["/run/postgresql", "::1", "db.example"])
def test_any_host_can_be_written_as_an_address(settings: TestSettings, host: str) -> None:
    db = Database(settings(f"database.host={host}").database)

    assert db.url.port == db.settings.port
    assert db.options["host"] == host


def record(message: str, error: Exception | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("asyncpg.pool", logging.WARNING, __file__, 1, message, (), info)


def test_an_outage_is_one_line_without_a_traceback() -> None:
    once = OncePerOutage()
    first = record("Failed to restore the pool connection floor; retrying", OSError("x"))

    assert once.filter(first)
    assert first.getMessage() == "Failed to restore the pool connection floor; retrying (OSError)"
    assert first.exc_info is None
    assert not once.filter(record("Failed to restore the pool connection floor; retrying", OSError("x")))
    assert once.filter(record("another thing"))


def test_a_filter_is_added_once(settings: TestSettings) -> None:
    for _ in range(3):
        Database(settings().database)

    assert len(logging.getLogger("asyncpg.pool").filters) == 1
    assert len(logging.getLogger("databases").filters) == 1
