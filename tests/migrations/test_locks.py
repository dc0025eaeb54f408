"""A revision never makes others wait for longer than its lock timeout, and says who made it wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from structlog.typing import EventDict

from app.core.migrations import LockBusy, migrate_up
from app.core.migrations.blockers import without_values
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.migrations.conftest import AddRevision, Connect

ALTER = "ALTER TABLE users ADD COLUMN phone text"
REPORT = "SELECT count(*) /* trace 4711 */ FROM users WHERE email = 'ada@example.org' AND 7 < 8"

# Timed by the server: this process compiles and runs revisions meanwhile.
TIMED_READ = """
CREATE FUNCTION pg_temp.timed_read() RETURNS float LANGUAGE plpgsql AS $$
DECLARE began timestamptz := clock_timestamp();
BEGIN
  PERFORM count(*) FROM users;
  RETURN extract(epoch FROM clock_timestamp() - began);
END $$
"""

LOCK_TIMEOUT = 0.3
SLACK = 0.7  # for a loaded machine


async def open_report(session: asyncpg.Connection) -> None:
    """A reader that does not end: it holds the weakest of all table locks."""
    await session.execute("SET application_name = 'monthly report'")
    await session.execute("BEGIN")
    await session.execute(REPORT)


async def longest_read(session: asyncpg.Connection, until: asyncio.Task[object]) -> float:
    """Read the table over and over while `until` runs; the longest wait in seconds."""
    await session.execute(TIMED_READ)
    longest = 0.0
    while not until.done():
        longest = max(longest, await session.fetchval("SELECT pg_temp.timed_read()"))
    return longest


@pytest.mark.alone
async def test_behind_a_long_reader_new_reads_wait_no_longer_than_the_lock_timeout(
    migrated: TestSettings, folder: Path, add_revision: AddRevision, client: Connect, events: list[EventDict]
) -> None:
    report, reader = await client(migrated), await client(migrated)
    number = add_revision(ALTER)
    await open_report(report)
    settings = migrated(f"database.migration_lock_timeout={LOCK_TIMEOUT}")

    migrating = asyncio.create_task(migrate_up(settings.database, folder=folder))
    longest = await longest_read(reader, migrating)

    assert longest > LOCK_TIMEOUT / 3, "the fault happened: it waited behind the revision"
    assert longest < LOCK_TIMEOUT + SLACK
    with pytest.raises(LockBusy) as busy:
        await migrating
    told = str(busy.value)
    assert f"Revision {number} ({number}_test.py) did not get its lock in 5 tries" in told
    assert "waited for AccessExclusiveLock on table users, held by:" in told
    assert f"pid {report.get_server_pid()}, monthly report, idle in transaction for" in told
    assert "SELECT count(*) FROM users WHERE email = ? AND ? < ?" in told
    assert [event["attempt"] for event in events if event["event"] == "lock_not_available"] == [1, 2, 3, 4]


async def test_control_without_it_one_long_reader_stops_all_reads(migrated: TestSettings, client: Connect) -> None:
    report, alter, reader = [await client(migrated) for _ in range(3)]
    await open_report(report)
    altering = asyncio.create_task(alter.execute(ALTER))

    async def alter_waits() -> bool:
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)"
        return bool(await reader.fetchval(waiting, alter.get_server_pid()))

    await eventually(alter_waits, within=10)
    await reader.execute(f"SET statement_timeout = '{LOCK_TIMEOUT + SLACK}s'")

    with pytest.raises(asyncpg.QueryCanceledError):
        await reader.execute("SELECT count(*) FROM users")

    await report.execute("ROLLBACK")
    await altering


async def test_when_the_reader_ends_the_next_try_succeeds(
    migrated: TestSettings, folder: Path, add_revision: AddRevision, client: Connect, events: list[EventDict]
) -> None:
    report = await client(migrated)
    number = add_revision(ALTER)
    await open_report(report)
    settings = migrated(f"database.migration_lock_timeout={LOCK_TIMEOUT}")

    migrating = asyncio.create_task(migrate_up(settings.database, folder=folder))
    await eventually(lambda: any(event["event"] == "lock_not_available" for event in events), within=10)
    await report.execute("ROLLBACK")

    assert (await migrating).current == number


@pytest.mark.usefixtures("events")
async def test_a_concurrent_build_outwaits_older_transactions(
    migrated: TestSettings, folder: Path, add_revision: AddRevision, client: Connect
) -> None:
    writer = await client(migrated)
    add_revision("SELECT 1")
    number = add_revision("SELECT 1")
    file = next((folder / "versions").glob(f"{number}_*.py"))
    text = file.read_text().replace(
        "from alembic import op", "from app.core.migrations.concurrently import build_index"
    )
    file.write_text(text.replace("op.execute('SELECT 1')", "build_index('ix_users_name', 'users (name)')", 1))
    await writer.execute("BEGIN")
    await writer.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
    settings = migrated(f"database.migration_lock_timeout={LOCK_TIMEOUT}")

    migrating = asyncio.create_task(migrate_up(settings.database, folder=folder))

    async def build_waits_for_longer_than_the_lock_timeout() -> bool:
        waiting = (
            "SELECT max(clock_timestamp() - waitstart) FROM pg_locks WHERE NOT granted AND locktype = 'virtualxid'"
        )
        waited = await writer.fetchval(waiting)
        return waited is not None and waited.total_seconds() > 3 * LOCK_TIMEOUT

    await eventually(build_waits_for_longer_than_the_lock_timeout, within=10)
    await writer.execute("INSERT INTO users (email, name, password_hash) VALUES ('a@b', 'A', '-')")
    await writer.execute("COMMIT")

    assert (await migrating).current == number


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT * FROM t1 WHERE a = 'x''y' AND b = 1.5e3", "SELECT * FROM t1 WHERE a = ? AND b = ?"),
        (r"SELECT E'it\'s secret', x FROM t", "SELECT ?, x FROM t"),
        ("SELECT $tag$ it's 'secret' $tag$, $$7$$, $1", "SELECT ?, ?, $1"),
        ("/* user=4711 */ SELECT 1 -- secret\nFROM t", "SELECT ? FROM t"),
        ("UPDATE t SET a = 'cut off by the ser", "UPDATE t SET a = ?"),
        ("SELECT 'a' /* cut off by the ser", "SELECT ?"),
        ("SELECT \"it's 7\" FROM t WHERE a = 'x'", 'SELECT "it\'s 7" FROM t WHERE a = ?'),
        ("SELECT " + "a, " * 200, "SELECT " + ("a, " * 200)[:193] + "..."),
    ],
)
def test_a_query_is_shown_without_its_values(query: str, shown: str) -> None:
    assert without_values(query) == shown
