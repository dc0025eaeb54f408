"""PostgreSQL restarts while eight schedulers look: no tick is lost, none is enqueued twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial

import pytest
from structlog.testing import capture_logs

from app.core.beside import beside
from app.core.database import Database, open_database
from app.core.resources import Resources
from app.embedded import PostgresServer, Stop
from app.tasks import scheduler
from app.tasks.scheduler import Scheduler
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.scheduling import enqueued, last_ticks, opened, registry

pytestmark = pytest.mark.fault

KNOWN = registry(often="*/5 * * * *")
EIGHT = 8
WITHIN = 30.0  # seconds; a loaded machine, not a slow scheduler


@pytest.fixture
async def resources(own_settings: TestSettings, clock: FakeClock) -> AsyncIterator[Resources]:
    async with open_database(own_settings().database) as database:
        # The test server trades safety for speed; here an acknowledged write must outlive a crash.
        await database.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = on")
        await database.execute("DELETE FROM schedules")
        await database.execute("DELETE FROM tasks")
    async with opened(own_settings("database.pool_max=10"), clock) as resources:
        yield resources


async def started_at(db: Database) -> datetime:
    found: datetime = await db.fetch_val("SELECT pg_postmaster_start_time()")
    return found


async def test_restarts_neither_double_nor_lose_a_tick(
    resources: Resources, own_postgres: PostgresServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = resources.database
    monkeypatch.setattr(scheduler, "LONGEST_SLEEP", 0.01)  # they look all the time, also in the middle of a restart
    before = await started_at(db)

    with capture_logs() as logs:
        async with AsyncExitStack() as running:
            for _ in range(EIGHT):
                await running.enter_async_context(beside(Scheduler(resources, KNOWN).run(), name="scheduler"))
            await eventually(lambda: last_ticks(db), within=WITHIN)
            for ticks, mode in enumerate([Stop.IMMEDIATE, Stop.FAST, Stop.IMMEDIATE], start=1):
                restart = asyncio.create_task(own_postgres.restart(mode))
                clock.advance(300)
                await restart
                await eventually(partial(has, db, ticks), within=WITHIN)

    assert await started_at(db) > before
    assert "schedules_failed" in {entry["event"] for entry in logs}
    assert [entry["event"] for entry in logs].count("schedule_first_seen") == 1
    assert await enqueued(db) == {"test.often": 3}
    assert await last_ticks(db) == {"test.often": datetime(2030, 1, 1, 12, 15, tzinfo=UTC)}


async def has(db: Database, ticks: int) -> bool:
    return await enqueued(db) == {"test.often": ticks}


async def test_a_commit_that_the_server_does_not_survive_is_made_up_for(
    resources: Resources, own_postgres: PostgresServer, clock: FakeClock
) -> None:
    """The server ends between the move of the row and the commit; both are undone together."""
    db = resources.database
    ticking = Scheduler(resources, KNOWN)
    await ticking.run_once()
    clock.advance(300)
    blocker = await stop_inserts(db)

    look = asyncio.create_task(ticking.run_once())
    await eventually(lambda: waits_for(db, blocker), within=WITHIN)
    await own_postgres.restart(Stop.IMMEDIATE)
    [outcome] = await asyncio.gather(look, return_exceptions=True)
    await db.execute("DROP TRIGGER halt ON tasks")

    assert isinstance(outcome, Exception)
    assert await enqueued(db) == {}
    assert await ticking.run_once() == ["test.often"]
    assert await enqueued(db) == {"test.often": 1}


async def stop_inserts(db: Database) -> str:
    """Whoever inserts a task from now on sleeps in the middle of it; gives what it waits for."""
    await db.execute("""
CREATE OR REPLACE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(600); RETURN new; END $$""")
    await db.execute("CREATE TRIGGER halt BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION halt()")
    return "PgSleep"


async def waits_for(db: Database, event: str) -> bool:
    found = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = :event AND datname = current_database())"
    return bool(await db.fetch_val(found, {"event": event}))
