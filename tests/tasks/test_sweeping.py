"""Old rows go, a thousand at a time, and nobody has to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from app.core.database import Database
from app.core.queue import Priority
from app.core.queue.tables import finished_tasks
from app.core.resources import Resources
from app.core.settings.sections.worker import DAY
from app.tasks.sweeping import BATCH, TIMEOUT, WITHIN, Sweep, sweep, sweeping_task
from tests.harness.settings import TestSettings
from tests.tasks.runners import opened
from tests.tasks.sweeps import add_finished, ages

ENDED = Sweep(finished_tasks, finished_tasks.c.finished_at, name="sweep_of_a_test")

# Each statement on the table leaves a line: how many rows it deleted, in which transaction.
WATCH = (
    "CREATE TABLE statements (rows integer, transaction xid8)",
    """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO statements SELECT count(*), pg_current_xact_id() FROM gone; RETURN NULL; END $$""",
    """
CREATE TRIGGER note AFTER DELETE ON finished_tasks REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION note()""",
)


class HurryingClock:
    """Twenty-five seconds pass between two looks at it."""

    def __init__(self) -> None:
        self._passed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        self._passed += 25.0
        return self._passed


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings()) as resources:
        yield resources


@pytest.fixture
def db(resources: Resources) -> Database:
    return resources.database


async def left(db: Database) -> int:
    found: int = await db.fetch_val("SELECT count(*) FROM finished_tasks")
    return found


async def test_what_is_old_goes_and_what_is_young_stays(resources: Resources, db: Database) -> None:
    for age in (0, 50_000, 99_000, 101_000, 10_000_000):
        await add_finished(db, age=age)

    swept = await sweep(resources, ENDED, keep=100_000)

    assert swept == 2
    assert [age // 10_000 for age in await ages(db, "finished_tasks", "finished_at")] == [0, 5, 9]


async def test_2500_rows_go_in_three_transactions(resources: Resources, db: Database) -> None:
    await add_finished(db, age=DAY, number=2_500)
    await add_finished(db, age=10, number=3)
    for statement in WATCH:
        await db.execute(statement)

    with capture_logs() as logs:
        swept = await sweep(resources, ENDED, keep=60)

    batches = await db.fetch_all("SELECT rows, transaction FROM statements ORDER BY transaction")
    assert swept == 2_500
    assert [each["rows"] for each in batches] == [BATCH, BATCH, 500]
    assert len({each["transaction"] for each in batches}) == 3
    assert await left(db) == 3
    assert {"event": "swept", "log_level": "info", "sweep": "sweep_of_a_test", "rows": 2_500, "ended": True} in logs


async def test_the_last_batch_is_the_one_that_is_not_full(resources: Resources, db: Database) -> None:
    await add_finished(db, age=DAY, number=2 * BATCH)
    for statement in WATCH:
        await db.execute(statement)

    assert await sweep(resources, ENDED) == 2 * BATCH

    assert [row["rows"] for row in await db.fetch_all("SELECT rows FROM statements")] == [BATCH, BATCH, 0]


async def test_what_it_has_no_time_for_is_left_to_the_next_one(resources: Resources, db: Database) -> None:
    await add_finished(db, age=DAY, number=2_500)
    hurried = replace(resources, clock=HurryingClock())

    with capture_logs() as logs:
        first = await sweep(hurried, ENDED)
    second = await sweep(resources, ENDED)

    assert (first, second) == (2 * BATCH, 500)
    assert [entry["ended"] for entry in logs if entry["event"] == "swept"] == [False]


async def test_a_row_that_somebody_has_locked_is_left_and_not_waited_for(resources: Resources, db: Database) -> None:
    await add_finished(db, age=DAY, number=10)
    lock = "SELECT id FROM finished_tasks LIMIT 1 FOR UPDATE"

    async with db.transaction():
        await db.fetch_one(lock)
        while_locked = await asyncio.create_task(_sweep_outside(resources))
    afterwards = await sweep(resources, ENDED)

    assert (while_locked, afterwards) == (9, 1)


async def _sweep_outside(resources: Resources) -> int:
    async with asyncio.timeout(20), resources.database.detached():
        return await sweep(resources, ENDED)


async def test_two_sweeps_at_once_share_the_rows(resources: Resources, db: Database) -> None:
    await add_finished(db, age=DAY, number=3_500)

    rows = await asyncio.gather(*(sweep(resources, ENDED) for _ in range(3)))
    rest = await sweep(resources, ENDED)

    assert sum(rows) + rest == 3_500
    assert await left(db) == 0


async def test_the_limit_holds_whatever_the_planner_makes_of_it(resources: Resources, db: Database) -> None:
    await add_finished(db, age=DAY, number=1_500)
    for statement in WATCH:
        await db.execute(statement)
    for method in ("hashjoin", "mergejoin", "material", "indexscan", "bitmapscan"):
        await db.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {await database_name(db)} SET enable_{method} = off")
    await db.disconnect()
    await db.connect()

    assert await sweep(resources, ENDED) == 1_500

    assert [row["rows"] for row in await db.fetch_all("SELECT rows FROM statements")] == [BATCH, 500]


async def database_name(db: Database) -> str:
    name: str = await db.fetch_val("SELECT quote_ident(current_database())")
    return name


def test_a_sweep_is_given_up_long_before_its_task_is() -> None:
    task = sweeping_task("test.sweep")

    assert (task.concurrency, task.priority, task.timeout) == (1, Priority.LOW, TIMEOUT)
    assert 3 * WITHIN < TIMEOUT  # that of the queue sweeps three times
