"""Fails when an upgrade of `databases` or asyncpg changes what the pool leans on: read `driver.py` again then."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from importlib.metadata import version
from typing import Any

import asyncpg
import asyncpg.pool
import databases
import databases.backends.postgres
import pytest

from app.core.database import Database
from app.core.database.driver import RawConnection, SessionConnection, give_back, is_gone, pool_of, take_free
from tests.harness.settings import TestSettings


def test_the_versions_are_those_that_were_examined() -> None:
    assert version("databases") == "0.9.0"
    assert version("asyncpg") == "0.32.0"


async def test_databases_keeps_asyncpgs_pool_where_we_look_for_it(db: Database) -> None:
    assert type(pool_of(db)) is asyncpg.Pool
    await db.disconnect()
    assert pool_of(db) is None


def test_databases_passes_every_option_on_to_the_pool() -> None:
    source = inspect.getsource(databases.backends.postgres.PostgresBackend)

    assert "kwargs.update(self._options)" in source
    assert "asyncpg.create_pool(**kwargs)" in source


def test_the_methods_of_databases_are_the_ones_we_replace() -> None:
    public = {name for name, _ in inspect.getmembers(databases.Database, inspect.isfunction) if name[0] != "_"}

    assert public == {
        *("connect", "disconnect", "connection", "transaction", "force_rollback"),
        *("fetch_all", "fetch_one", "fetch_val", "execute", "execute_many", "iterate"),
    }
    assert public - {"force_rollback"} <= vars(Database).keys()


def test_asyncpgs_pool_takes_what_we_give_it() -> None:
    pool = inspect.signature(asyncpg.pool.Pool.__init__).parameters
    assert {"min_size", "max_size", "connect", "connection_class", "max_inactive_connection_lifetime"} <= pool.keys()
    assert "timeout" in inspect.signature(asyncpg.pool.Pool.release).parameters
    for method in ("fetch", "fetchrow", "fetchval", "execute", "executemany"):
        assert "timeout" in inspect.signature(getattr(asyncpg.Connection, method)).parameters


async def test_a_released_handle_says_so_by_an_error(db: Database) -> None:
    async with db.connection() as connection:
        raw = connection.raw
        assert not is_gone(raw)
    assert is_gone(raw)


async def test_a_pooled_connection_asks_us_what_to_reset(db: Database) -> None:
    async with db.connection() as connection:
        assert isinstance(connection.raw, asyncpg.pool.PoolConnectionProxy)
        assert connection.raw.has_traces is False
        assert connection.raw.get_reset_query() == ""
        connection.raw.mark()
        assert "UNLISTEN" in connection.raw.get_reset_query()
        assert connection.raw.has_traces is False


def at_once(running: Coroutine[Any, Any, Any]) -> Any:
    """What it gives, if it waits for nothing."""
    with pytest.raises(StopIteration) as ended:
        running.send(None)
    return ended.value.value


async def test_a_free_connection_is_taken_and_given_back_without_waiting(db: Database) -> None:
    pool = pool_of(db)
    size, idle = pool.get_size(), pool.get_idle_size()

    raw = at_once(take_free(pool))
    during = pool.get_idle_size()
    answer = await raw.fetchval("SELECT 1")
    at_once(give_back(pool, raw, within=1))

    assert (during, answer) == (idle - 1, 1)
    assert (pool.get_size(), pool.get_idle_size()) == (size, idle)
    assert is_gone(raw)
    assert await db.fetch_val("SELECT 1") == 1


async def test_where_none_is_free_and_open_the_pool_itself_is_asked(db: Database) -> None:
    pool = pool_of(db)
    taken = []

    while raw := at_once(take_free(pool)):
        taken.append(raw)
    opened = await db.fetch_val("SELECT 1")  # by the way that opens one
    for each in taken:
        await give_back(pool, each, within=1)

    assert len(taken) == pool.get_min_size()
    assert opened == 1


async def _cut(raw: RawConnection) -> None:
    raw.terminate()


async def _begin(raw: RawConnection) -> None:
    await raw.execute("BEGIN")


async def _mark(raw: RawConnection) -> None:
    await raw.execute("SET application_name = 'left over'")
    raw.mark()


@pytest.mark.parametrize("leave", [_cut, _begin, _mark])
async def test_what_is_not_clean_goes_back_the_pools_own_way(
    db: Database, leave: Callable[[RawConnection], Awaitable[None]]
) -> None:
    pool = pool_of(db)
    raw = await take_free(pool)
    await leave(raw)

    await give_back(pool, raw, within=1)

    async with db.connection() as connection:
        left = await connection.fetch_val("SELECT current_setting('application_name')")
        assert left != "left over"
        assert not connection.raw.is_in_transaction()


async def test_a_closed_pool_has_none_free(db: Database) -> None:
    pool = pool_of(db)
    await db.disconnect()

    assert at_once(take_free(pool)) is None


async def test_a_password_may_be_a_function(settings: TestSettings) -> None:
    chosen = settings().database
    raw = await asyncpg.connect(
        host=chosen.host,
        port=chosen.port,
        user=chosen.user,
        database=chosen.name,
        password=chosen.password.reveal,
        connection_class=SessionConnection,
    )
    assert await raw.fetchval("SELECT 1") == 1
    await raw.close()


def test_asyncpgs_pool_logs_where_we_listen(caplog: pytest.LogCaptureFixture) -> None:
    assert asyncpg.pool.logger.name == "asyncpg.pool"
    source = inspect.getsource(asyncpg.pool.Pool._maintain_min_size)
    assert "logger.warning" in source
    assert "exc_info=True" in source
    assert caplog.records == []


def test_databases_logs_where_we_listen() -> None:
    loggers: list[Any] = [databases.core.logger, databases.backends.postgres.logger]
    assert {logger.name for logger in loggers} == {"databases"}
    assert all(isinstance(logger, logging.Logger) for logger in loggers)
