"""More clients than connections: what one gives back goes to the next one in line, whole and clean, or to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.database import ConnectionTrouble, Database, open_database
from app.core.database.driver import Holder, RawConnection, is_gone, pool_of
from app.embedded import PostgresServer, Stop
from tests.core.database.test_leaks import dice_of
from tests.core.database.torture import cancel_at_random, is_whole, usable_at_once
from tests.harness.proxy import open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

pytestmark = pytest.mark.fault

PID = "SELECT pg_backend_pid()"
ONE = ("database.pool_min=1", "database.pool_max=1", "database.acquire_timeout=60")


@pytest.fixture
async def small(settings: TestSettings) -> AsyncIterator[Database]:
    async with open_database(settings(*ONE).database) as db:
        yield db


async def waiting(db: Database, sql: str = PID) -> asyncio.Task[object]:
    """One who asks, and has to wait for a connection."""
    before = len(db.slots._line._waiting)
    task = asyncio.create_task(db.fetch_val(sql))
    await eventually(lambda: len(db.slots._line._waiting) == before + 1, within=20)
    return task


async def soon(task: asyncio.Task[object]) -> object:
    """Long before anybody would be told that there is none."""
    async with asyncio.timeout(20):
        return await task


async def test_the_next_one_gets_the_same_connection_and_a_handle_of_its_own(small: Database) -> None:
    async with small.connection() as connection:
        kept = connection.raw
        pid = await connection.fetch_val(PID)
        next_one = await waiting(small)

    assert await soon(next_one) == pid
    assert is_gone(kept)
    stats = small.stats()
    assert (stats.in_use, stats.idle, stats.waiting, stats.opened_total) == (0, 1, 0, 1)


async def test_a_handle_that_was_kept_does_not_reach_the_next_ones_connection(small: Database) -> None:
    async with small.connection() as connection:
        kept = connection.raw
        pid = await connection.fetch_val(PID)
    async with small.connection() as connection:
        assert await connection.fetch_val(PID) == pid

        with pytest.raises(Exception, match="released back to the pool"):
            await kept.execute("SELECT 1")


async def test_those_who_wait_are_served_in_the_order_they_came(small: Database) -> None:
    served: list[int] = []

    async def one(number: int) -> None:
        async with small.connection():
            served.append(number)

    async with small.connection():
        tasks = []
        for number in range(20):
            tasks.append(asyncio.create_task(one(number)))
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    assert served == list(range(20))


async def test_one_cancelled_in_the_moment_of_the_hand_over_passes_it_on(small: Database) -> None:
    async with small.connection():
        first, second = await waiting(small), await waiting(small)
    assert len(small.slots._line._waiting) == 1  # the first has left the line, with the connection
    first.cancel()

    assert isinstance(await soon(second), int)
    assert first.cancelled()
    assert (small.stats().idle, small.stats().opened_total) == (1, 1)


async def test_one_cancelled_in_the_moment_of_the_hand_over_gives_it_back(small: Database) -> None:
    async with small.connection():
        only = await waiting(small)
    assert len(small.slots._line._waiting) == 0
    only.cancel()
    await asyncio.wait({only})

    assert only.cancelled()
    assert await soon(asyncio.create_task(small.fetch_val("SELECT 1"))) == 1
    assert small.stats().opened_total == 1


async def test_a_storm_of_cancellations_among_those_who_wait_loses_nothing(settings: TestSettings) -> None:
    async with open_database(settings("database.pool_min=3", "database.pool_max=3").database) as db:
        passed_on = count_passed_on(db)
        dice = dice_of(7)

        async def brief() -> None:
            async with db.connection():
                await asyncio.sleep(0)

        for _ in range(20):
            await cancel_at_random(brief, cuts=500, parallel=40, longest=0.002, dice=dice)
            if len(passed_on) > 10:
                break

        assert len(passed_on) > 10  # they were cancelled with the connection in their hands
        await eventually(lambda: db.stats().idle == 3, within=20)
        assert await usable_at_once(db, wanted=3, within=20) == 3
        assert db.stats().opened_total == 3


def count_passed_on(db: Database) -> list[Holder]:
    """Fills with what was given to somebody who was cancelled in that moment."""
    line, passed_on = db.slots._line, list[Holder]()
    put_back = line._put_back

    def counting(holder: Holder) -> None:
        passed_on.append(holder)
        put_back(holder)

    line._put_back = counting
    return passed_on


async def _begin(raw: RawConnection) -> None:
    await raw.execute("BEGIN")
    await raw.execute("SET LOCAL application_name = 'left over'")


async def _change(raw: RawConnection) -> None:
    await raw.execute("SET application_name = 'left over'")
    raw.mark()


@pytest.mark.parametrize("leave", [_begin, _change])
async def test_the_next_one_finds_nothing_that_was_left(small: Database, leave: object) -> None:
    assert callable(leave)
    async with small.connection() as connection:
        await leave(connection.raw)
        next_one = await waiting(small, "SHOW application_name")

    assert await soon(next_one) == "plinth"
    assert small.stats().opened_total == 1


async def test_a_connection_that_was_declared_too_old_is_not_handed_on(small: Database) -> None:
    async with small.connection() as connection:
        pid = await connection.fetch_val(PID)
        next_one = await waiting(small)
        await pool_of(small).expire_connections()

    assert await soon(next_one) != pid
    assert small.stats().opened_total == 2


async def test_a_connection_that_was_used_often_enough_is_not_handed_on(small: Database) -> None:
    async with small.connection() as connection:
        pid = await connection.fetch_val(PID)
        next_one = await waiting(small)
        connection.raw._holder._max_queries = 1

    assert await soon(next_one) != pid


async def test_one_who_waits_for_a_connection_that_is_lost_does_not_wait_for_its_holder(small: Database) -> None:
    async with small.connection() as connection:
        pid = await connection.fetch_val(PID)
        next_one = await waiting(small)
        connection.raw.terminate()

        assert await soon(next_one) != pid


async def test_a_connection_that_is_lost_on_its_way_to_the_next_one_is_opened_anew(small: Database) -> None:
    async with small.connection() as connection:
        below = connection.raw._con
        pid = await connection.fetch_val(PID)
        next_one = await waiting(small)
    assert len(small.slots._line._waiting) == 0
    below.terminate()

    assert await soon(next_one) != pid
    assert (small.stats().size, small.stats().idle) == (1, 1)


async def test_an_unused_connection_is_closed_after_a_hand_over_too(settings: TestSettings) -> None:
    chosen = settings("database.pool_min=0", "database.pool_max=1", "database.idle_timeout=1").database
    async with open_database(chosen) as db:
        async with db.connection():
            next_one = await waiting(db)
        await soon(next_one)
        assert db.stats().size == 1

        await eventually(lambda: db.stats().size == 0, within=20)


async def test_one_who_comes_while_the_pool_itself_opens_a_connection_is_served(settings: TestSettings) -> None:
    chosen = settings(*ONE).database
    async with (
        open_proxy(chosen.host, chosen.port) as proxy,
        open_database(settings(*ONE, "database.host=127.0.0.1", f"database.port={proxy.port}").database) as db,
    ):
        proxy.stall()
        pool_of(db)._holders[0].terminate()
        accepted = proxy.accepted
        await eventually(lambda: proxy.accepted > accepted, within=20)  # the pool's own task has the place
        one = await waiting(db)

        proxy.heal()

        assert isinstance(await soon(one), int)


async def test_closing_sends_away_those_who_wait(small: Database) -> None:
    held, over = asyncio.Future[RawConnection](), asyncio.Event()

    async def hog() -> None:
        async with small.connection() as connection:
            held.set_result(connection.raw)
            await over.wait()

    holder = asyncio.create_task(hog())
    raw = await held
    waiters = [await waiting(small) for _ in range(3)]

    closed = asyncio.create_task(small.disconnect())
    for each in waiters:
        with pytest.raises(ConnectionTrouble):
            await soon(each)
    assert not is_gone(raw)  # they were not sent away by its being cut off
    with pytest.raises(ConnectionTrouble):
        await small.fetch_val("SELECT 1")
    over.set()
    await holder
    async with asyncio.timeout(20):
        await closed

    assert not small.is_connected


async def test_a_database_that_dies_while_a_thousand_wait_keeps_nobody_waiting(
    own_settings: TestSettings, own_postgres: PostgresServer
) -> None:
    chosen = own_settings("database.pool_min=5", "database.pool_max=5", "database.acquire_timeout=300").database
    async with open_database(chosen) as db:
        over = asyncio.Event()
        lost = []

        async def hog() -> None:
            async with db.connection() as connection:
                await over.wait()
                lost.append(is_gone(connection.raw))

        hogs = [asyncio.create_task(hog()) for _ in range(5)]
        await eventually(lambda: db.stats().in_use == 5, within=20)
        waiters = [asyncio.create_task(db.fetch_val("SELECT 1")) for _ in range(1000)]
        await eventually(lambda: db.stats().waiting == 1000, within=20)

        await own_postgres.stop(Stop.IMMEDIATE)
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*waiters, return_exceptions=True)
        over.set()
        await asyncio.gather(*hogs)
        await own_postgres.start()

        assert lost == [True] * 5
        assert {type(each) for each in answers} == {ConnectionTrouble}
        assert (db.stats().waiting, db.stats().acquire_timeouts_total) == (0, 0)
        await eventually(lambda: is_whole(db, wanted=5), within=20)
