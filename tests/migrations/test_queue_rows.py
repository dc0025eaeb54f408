"""Revision 0013 moves finished tasks into a table of their own, and back: no row is lost on either way."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from app.core.migrations import migrate_down, migrate_up
from tests.harness.settings import TestSettings
from tests.migrations.conftest import Connect

pytestmark = pytest.mark.usefixtures("events")

# One in each state, with values that must not change on the way.
TASKS = """
INSERT INTO tasks (task_type, payload, status, priority, retry_count, max_retries, run_at, locked_by, locked_until,
                   lease_seq, last_error, dedupe_key, created_at, finished_at) VALUES
    ('a.pending', '{"n": 1}', 'pending', 0, 0, 5, '2026-01-01', NULL, NULL, 0, NULL, 'one', '2025-01-01', NULL),
    ('a.given_back', '{"n": 2}', 'pending', 0, 2, 5, '2026-01-02', 'w', '2026-01-02', 3, 'Error: x', NULL,
     '2025-01-02', NULL),
    ('a.running', '{"n": 3}', 'running', 1, 1, 5, '2026-01-03', 'w', '2026-01-03', 7, NULL, 'three',
     '2025-01-03', NULL),
    ('a.done', '{"n": 4}', 'done', -1, 0, 5, '2026-01-04', 'w', '2026-01-04', 1, NULL, NULL,
     '2025-01-04', '2026-02-04'),
    ('a.dead', '{"n": 5}', 'dead', 0, 5, 5, '2026-01-05', 'w', NULL, 6, 'Error: y', 'five', '2025-01-05', '2026-02-05'),
    ('a.cancelled', '{"n": 6}', 'cancelled', 0, 0, 5, '2026-01-06', NULL, NULL, 0, NULL, NULL, '2025-01-06',
     '2026-02-06'),
    ('a.urgent', '{"n": 7}', 'pending', 9, 0, 5, '2026-01-07', NULL, NULL, 0, NULL, NULL, '2025-01-07', NULL),
    ('a.idle', '{"n": 8}', 'dead', -9, 0, 5, '2026-01-08', NULL, NULL, 2, 'z', NULL, '2025-01-08', '2026-02-08')
"""
KEPT = "id, task_type, payload, status, retry_count, max_retries, run_at, lease_seq, last_error, created_at, {finished}"
OLD = f"SELECT {KEPT.format(finished='finished_at')} FROM tasks ORDER BY created_at"  # noqa: S608  (our own names)
NEW = f"""
SELECT {KEPT.format(finished="NULL::timestamptz AS finished_at")} FROM tasks
UNION ALL SELECT {KEPT.format(finished="finished_at")} FROM finished_tasks ORDER BY created_at
"""  # noqa: S608  (our own names)


@pytest.fixture
async def session(empty: TestSettings, client: Connect) -> asyncpg.Connection:
    """At revision 0012, with rows in all states."""
    await migrate_up(empty().database, "0012")
    connection = await client(empty)
    await connection.execute(TASKS)
    await connection.execute("""
        INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload, created_at, processed_at)
        SELECT 'a', uuidv7(), 'e', jsonb_build_object('n', n), '2025-01-01'::timestamptz + n * interval '1 s',
               CASE WHEN n % 2 = 0 THEN now() END
        FROM generate_series(1, 6) AS n
    """)
    return connection


async def rows(session: asyncpg.Connection, sql: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await session.fetch(sql)]


async def test_no_task_is_lost_on_the_way_up_down_and_up_again(
    empty: TestSettings, session: asyncpg.Connection
) -> None:
    database = empty().database
    before = await rows(session, OLD)
    assert len(before) == 8

    await migrate_up(database, "0013")
    above = await rows(session, NEW)
    await migrate_down(database, "0012")
    below = await rows(session, OLD)
    await migrate_up(database, "0013")

    assert above == before
    assert below == before
    assert await rows(session, NEW) == before


async def test_each_table_holds_its_own_and_keys_priorities_and_leases_hold(
    empty: TestSettings, session: asyncpg.Connection
) -> None:
    await migrate_up(empty().database, "0013")

    hot = {row["task_type"]: row for row in await rows(session, "SELECT * FROM tasks")}
    finished = {row["task_type"]: row for row in await rows(session, "SELECT * FROM finished_tasks")}

    assert set(hot) == {"a.pending", "a.given_back", "a.running", "a.urgent"}
    assert set(finished) == {"a.done", "a.dead", "a.cancelled", "a.idle"}
    assert [hot[name]["dedupe_key"] for name in ("a.pending", "a.running")] == ["one", "three"]
    assert (hot["a.urgent"]["priority"], finished["a.idle"]["priority"], hot["a.running"]["priority"]) == (1, -1, 1)
    assert (hot["a.given_back"]["locked_by"], hot["a.given_back"]["locked_until"]) == (None, None)
    assert hot["a.running"]["locked_by"] == finished["a.dead"]["locked_by"] == "w"
    assert finished["a.dead"]["dedupe_key"] == "five"
    assert {row["crash_count"] for row in [*hot.values(), *finished.values()]} == {0}


async def test_events_keep_their_order_and_what_was_handed_on_stays_so(
    empty: TestSettings, session: asyncpg.Connection
) -> None:
    told = "SELECT payload, processed_at FROM outbox ORDER BY {}"
    before = await rows(session, told.format("created_at"))

    await migrate_up(empty().database, "0013")
    above = await rows(session, told.format("position"))
    await migrate_down(empty().database, "0012")

    assert above == before
    assert await rows(session, told.format("created_at")) == before


async def test_what_only_the_newer_schema_knows_goes_down_as_what_the_older_one_would_do_with_it(
    empty: TestSettings, session: asyncpg.Connection
) -> None:
    """A waiting task is due for the older worker, which knows no order; a key of a finished task blocks nobody."""
    await migrate_up(empty().database, "0013")
    await session.execute("""
        INSERT INTO tasks (task_type, status, order_key, order_position) VALUES ('b.waiting', 'waiting', 'k', 1);
        INSERT INTO tasks (task_type, dedupe_key) VALUES ('b.again', 'five');
    """)

    await migrate_down(empty().database, "0012")

    found = {row["task_type"]: row for row in await rows(session, "SELECT * FROM tasks")}
    assert found["b.waiting"]["status"] == "pending"
    assert (found["b.again"]["dedupe_key"], found["a.dead"]["dedupe_key"]) == ("five", None)
    assert found["a.dead"]["status"] == "dead"
