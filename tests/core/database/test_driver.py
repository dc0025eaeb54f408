"""Fails when an upgrade of `databases` or asyncpg changes what the pool leans on: read `driver.py` again then."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Coroutine
from importlib.metadata import version
from typing import Any

import asyncpg
import asyncpg.pool
import databases
import databases.backends.postgres
import pytest

from app.core.database import Database
from app.core.database.driver import (
    Holder,
    RawConnection,
    RawPool,
    SessionConnection,
    acquire,
    closing,
    divert,
    give_back,
    is_gone,
    is_open,
    pool_of,
    put_back,
    take_free,
    take_holder,
)
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


async def give_back_either_way(pool: RawPool, raw: RawConnection) -> None:
    if not give_back(raw):
        await pool.release(raw, timeout=1)


async def test_a_free_connection_is_taken_and_given_back_without_waiting(db: Database) -> None:
    pool = pool_of(db)
    size, idle = pool.get_size(), pool.get_idle_size()

    raw = at_once(take_free(pool))
    during = pool.get_idle_size()
    answer = await raw.fetchval("SELECT 1")
    given = give_back(raw)

    assert (during, answer, given) == (idle - 1, 1, True)
    assert (pool.get_size(), pool.get_idle_size()) == (size, idle)
    assert is_gone(raw)
    assert await db.fetch_val("SELECT 1") == 1


async def test_where_none_is_free_and_open_the_pool_itself_is_asked(db: Database) -> None:
    pool = pool_of(db)
    taken = []

    while raw := at_once(take_free(pool)):
        taken.append(raw)
    opened = await db.fetch_val("SELECT 1")  # by the way that opens one
    given = [give_back(each) for each in taken]

    assert given == [True] * pool.get_min_size()
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

    assert not give_back(raw)
    await pool.release(raw, timeout=1)

    async with db.connection() as connection:
        left = await connection.fetch_val("SELECT current_setting('application_name')")
        assert left != "left over"
        assert not connection.raw.is_in_transaction()


async def _listen(raw: RawConnection) -> None:
    raw.add_log_listener(print)


async def test_a_listener_that_was_left_does_not_listen_to_the_next_one(db: Database) -> None:
    pool = pool_of(db)
    raw: RawConnection = await take_free(pool)
    below = raw._con
    await _listen(raw)

    with pytest.warns(asyncpg.InterfaceWarning, match="active log listener"):
        await give_back_either_way(pool, raw)

    assert below._log_listeners == set()


def test_what_makes_a_connection_unclean_is_all_that_asyncpg_resets() -> None:
    reset = inspect.getsource(asyncpg.Connection._reset)
    release = inspect.getsource(asyncpg.pool.PoolConnectionHolder.release)

    assert set(re.findall(r"self\.(\w+)", reset)) == {
        *("_check_open", "_listeners", "_log_listeners", "_protocol", "_top_xact", "_loop", "execute"),
    }
    for said in ("is_closed()", "queries_count", "_generation", "_is_cancelling()", "_con.reset("):
        assert said in release
    assert "self._release()" in release.split("_con.reset(")[1]
    assert "self._setup_inactive_callback()" in release.split("_con.reset(")[1]


async def test_an_unused_connection_is_watched_and_a_used_one_is_not(db: Database) -> None:
    pool = pool_of(db)

    raw: RawConnection = await take_free(pool)
    holder = raw._holder
    used = holder._inactive_callback
    assert give_back(raw)

    assert used is None
    assert holder._inactive_callback is not None


async def test_whatever_comes_back_is_offered_first(db: Database) -> None:
    pool = pool_of(db)
    offered: list[Holder] = []

    def refuse(holder: Holder) -> bool:
        offered.append(holder)
        return False

    divert(pool, refuse)
    for leave in (_nothing, _mark, _begin, _cut):
        raw: RawConnection = await take_free(pool)
        holder = raw._holder
        await leave(raw)
        await give_back_either_way(pool, raw)
        assert offered == [holder]
        offered.clear()

    assert await db.fetch_val("SELECT 1") == 1


async def _nothing(raw: RawConnection) -> None:
    await raw.fetchval("SELECT 1")


async def test_what_was_taken_when_it_was_offered_is_for_nobody_else(db: Database) -> None:
    pool = pool_of(db)
    taken: list[Holder] = []

    def take(holder: Holder) -> bool:
        taken.append(holder)
        return True

    free = pool._queue.qsize()

    raw: RawConnection = await take_free(pool)
    divert(pool, take)
    assert give_back(raw)

    assert pool._queue.qsize() == free - 1
    assert len(taken) == 1
    raw = at_once(acquire(pool, taken[0]))
    assert await raw.fetchval("SELECT 1") == 1


def test_asyncpgs_pool_puts_its_places_back_in_one_way() -> None:
    source = inspect.getsource(asyncpg.pool)

    assert set(re.findall(r"_queue\.(\w+)", source)) == {"get", "put_nowait", "get_disconnected_nowait", "pop"}
    assert "self._put(item)" in inspect.getsource(asyncio.Queue.put_nowait)
    assert "_put" not in vars(asyncpg.pool._PoolConnectionHolderQueue)


async def test_a_place_is_open_unless_its_connection_is_lost_or_too_old(db: Database) -> None:
    pool = pool_of(db)
    holder = take_holder(pool)
    assert holder is not None
    open_before = is_open(pool, holder)

    await pool.expire_connections()
    too_old = not is_open(pool, holder)
    raw = await acquire(pool, holder)
    opened_anew = is_open(pool, holder)
    raw.terminate()

    assert (open_before, too_old, opened_anew) == (True, True, True)
    assert not is_open(pool, holder)


async def test_all_places_of_the_pool_can_be_taken_and_put_back(db: Database) -> None:
    pool = pool_of(db)
    taken = []

    while holder := take_holder(pool):
        taken.append(holder)
    for each in taken:
        put_back(pool, each)

    assert len(taken) == pool.get_max_size()
    assert pool._queue.qsize() == pool.get_max_size()
    assert await db.fetch_val("SELECT 1") == 1


async def test_a_place_whose_connection_can_not_be_opened_is_put_back(settings: TestSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    chosen = settings("database.pool_min=0", "database.host=127.0.0.1", f"database.port={port}").database
    db = Database(chosen)
    await db.connect()
    pool = pool_of(db)
    holder = take_holder(pool)

    with pytest.raises(OSError, match=str(port)):
        await acquire(pool, holder)

    assert pool._queue.qsize() == pool.get_max_size()
    assert "_schedule_min_size_maintenance" in inspect.getsource(asyncpg.pool.Pool._acquire)
    await db.disconnect()


async def test_a_pool_that_is_closed_says_so_in_asyncpgs_words(db: Database) -> None:
    pool = pool_of(db)
    raw: RawConnection = await take_free(pool)
    ending = asyncio.create_task(pool.close())
    await asyncio.sleep(0)

    with pytest.raises(asyncpg.InterfaceError) as ours:
        take_holder(pool)
    with pytest.raises(asyncpg.InterfaceError) as theirs:
        await pool.acquire()

    assert str(ours.value) == str(theirs.value) == str(closing())
    assert give_back(raw)
    await ending


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
