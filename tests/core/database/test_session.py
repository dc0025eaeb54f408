"""What a session starts with, and that nobody finds what another one left in it."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, select

from app.core.database import Database, Statement, open_database
from tests.core.database.tables import shelves
from tests.harness.settings import TestSettings

SELECT = Statement(select(shelves).where(shelves.c.label == bindparam("label")), name="select", registry={})


async def test_the_servers_own_limits_are_set(settings: TestSettings) -> None:
    chosen = settings("database.statement_timeout=7", "database.lock_timeout=2.5").database
    async with open_database(chosen, application_name="shop") as db:
        assert await db.fetch_val("SHOW statement_timeout") == "7s"
        assert await db.fetch_val("SHOW lock_timeout") == "2500ms"
        assert await db.fetch_val("SHOW idle_in_transaction_session_timeout") == "30s"
        assert await db.fetch_val("SHOW application_name") == "shop"


SETTINGS_LEFT = [
    "SET work_mem = '5MB'",
    "SELECT set_config('work_mem', '5MB', false)",
    "select pg_advisory_lock(7)",
    "SELECT pg_advisory_xact_lock(6), pg_advisory_lock(7)",
]


@pytest.mark.parametrize("change", SETTINGS_LEFT)
async def test_a_changed_session_is_cleaned_before_the_next_one_gets_it(settings: TestSettings, change: str) -> None:
    async with open_database(settings("database.pool_min=1", "database.pool_max=1").database) as db:
        usual = await db.fetch_val("SHOW work_mem")
        pid = await db.fetch_val("SELECT pg_backend_pid()")
        await db.execute(change)

        assert await db.fetch_val("SELECT pg_backend_pid()") == pid
        assert await db.fetch_val("SHOW work_mem") == usual
        assert (
            await db.fetch_val("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            == 0
        )


async def test_a_session_used_by_hand_is_cleaned(settings: TestSettings) -> None:
    async with open_database(settings("database.pool_min=1", "database.pool_max=1").database) as db:
        usual = await db.fetch_val("SHOW work_mem")
        async with db.connection() as connection:
            await connection.raw_connection.execute("SET work_mem = '5MB'")

        assert await db.fetch_val("SHOW work_mem") == usual


async def test_a_query_that_changes_nothing_costs_no_second_round_trip(shop: Database) -> None:
    before = await sent(shop)
    for _ in range(10):
        await shop.fetch_one(SELECT, {"label": "a"})
        await shop.fetch_val("SELECT pg_try_advisory_xact_lock(7)")

    assert await sent(shop) - before == 20


async def sent(db: Database) -> int:
    """Queries that the connection behind the next acquisition has sent so far."""
    async with db.connection() as connection:
        return int(connection.raw._protocol.queries_count)
