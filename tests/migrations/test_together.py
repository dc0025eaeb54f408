"""Many migrators at once: one works, the others wait and find nothing to do."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from structlog.typing import EventDict

from app.core.migrations import LockBusy, migrate_down, migrate_up, read_history
from app.core.migrations.lock import KEY
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.migrations import stock
from tests.migrations.conftest import Connect
from tests.migrations.migrator import launch

BUILD = "CREATE INDEX CONCURRENTLY ix_of_a_test ON users (name)"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_eight_migrators_at_once_apply_each_revision_once(empty: TestSettings, client: Connect) -> None:
    history = read_history()

    async with AsyncExitStack() as stack:
        migrators = [await stack.enter_async_context(launch(empty, "up")) for _ in range(8)]
        ended = await asyncio.gather(*(migrator.end() for migrator in migrators))

    assert [each.code for each in ended] == [0] * 8, "\n".join(each.stderr for each in ended)
    applied = [revision for each in ended for revision in each.revisions("revision_applied")]
    assert sorted(applied) == history.ids
    assert {revision for each in ended for revision in each.revisions("migrated")} == {history.head}
    session = await client(empty)
    assert await session.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_users_created_at'::regclass")


async def test_control_stock_alembic_breaks_when_two_run_at_once(
    empty: TestSettings, tmp_path: Path, client: Connect
) -> None:
    gate, observer = await client(empty), await client(empty)
    stock.write_project(tmp_path, "SELECT pg_advisory_xact_lock(1)", "CREATE TABLE once (id int)")
    await gate.execute("SELECT pg_advisory_lock(1)")
    url = empty.environ["APP_DATABASE__URL"]
    runs = asyncio.gather(stock.upgrade(tmp_path, url), stock.upgrade(tmp_path, url))

    async def both_wait() -> bool:
        return bool(await observer.fetchval(WAITING) == 2)

    await eventually(both_wait, within=30)
    await gate.execute("SELECT pg_advisory_unlock(1)")

    assert sorted(code for code, _ in await runs) == [0, 1], "stock Alembic has learned to wait: what is our lock for?"


@pytest.mark.usefixtures("events")
async def test_two_databases_are_migrated_at_the_same_time_in_one_process(
    empty: TestSettings, migrated: TestSettings
) -> None:
    ups_and_downs = await asyncio.gather(migrate_up(empty().database), migrate_down(migrated().database, "base"))

    assert [outcome.current for outcome in ups_and_downs] == [read_history().head, None]


async def test_a_waiting_migrator_says_for_whom_and_gives_up_in_time(
    migrated: TestSettings, client: Connect, events: list[EventDict]
) -> None:
    holder = await client(migrated)
    await holder.execute("SET application_name = 'the other one'")
    await holder.execute("SELECT pg_advisory_lock($1)", KEY)
    pid = holder.get_server_pid()

    with pytest.raises(LockBusy, match=rf"Another migrator \(pid {pid}, the other one\).*migration_wait = 0\.2 s"):
        await migrate_up(migrated("database.migration_wait=0.2").database)

    waiting = [event for event in events if event["event"] == "waiting_for_another_migrator"]
    assert [event["holder"] for event in waiting] == [f"pid {pid}, the other one"]


async def test_a_polling_waiter_does_not_stop_a_concurrent_build(
    migrated: TestSettings, client: Connect, events: list[EventDict]
) -> None:
    builder = await client(migrated)
    await builder.execute("SET statement_timeout = '5s'")
    await builder.execute("SELECT pg_advisory_lock($1)", KEY)
    waiter = asyncio.create_task(migrate_up(migrated().database))
    await eventually(lambda: any(event["event"] == "waiting_for_another_migrator" for event in events), within=10)

    await builder.execute(BUILD)
    await builder.execute("SELECT pg_advisory_unlock($1)", KEY)

    assert (await waiter).ran == ()


async def test_control_a_sleeping_waiter_stops_it(migrated: TestSettings, client: Connect) -> None:
    builder, waiter, observer = [await client(migrated) for _ in range(3)]
    # The server would notice the ring after a second and end one of the two; this makes it as long as ours above.
    await builder.execute("SET statement_timeout = '500ms'")
    await builder.execute("SELECT pg_advisory_lock($1)", KEY)
    sleeping = asyncio.create_task(waiter.execute("SELECT pg_advisory_lock($1)", KEY))

    async def it_sleeps() -> bool:
        return bool(await observer.fetchval(WAITING) == 1)

    await eventually(it_sleeps, within=10)

    with pytest.raises((asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError)):
        await builder.execute(BUILD)

    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    assert await observer.fetchval(invalid) == 1
    await builder.execute("SELECT pg_advisory_unlock($1)", KEY)
    await sleeping
