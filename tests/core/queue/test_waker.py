"""Workers are told after the commit, seldom, and outside of every business transaction."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from app.core.database import Database, open_database
from app.core.ids import new_id
from app.core.queue import CHANNEL, Queue, Waker, open_queue
from app.core.queue.waker import INTERVAL
from app.embedded import PostgresServer, Stop
from tests.core.queue.asked import GREET, GREETED, Greeting, last_word, listening
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

ADA = Greeting("Ada")


async def enqueue(db: Database, queue: Queue) -> None:
    async with db.transaction():
        await queue.enqueue(GREET, ADA)


class Watcher:
    """The statements in the order in which they ended."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def acquired(self, seconds: float) -> None: ...

    def queried(self, name: str, outcome: str, seconds: float) -> None:
        assert outcome
        assert seconds >= 0
        self.seen.append(name)


@pytest.fixture
async def watched(settings: TestSettings) -> AsyncIterator[tuple[Database, Watcher]]:
    watcher = Watcher()
    async with open_database(settings().database, observer=watcher) as database:
        yield database, watcher


async def test_a_commit_is_heard(db: Database, queue: Queue, database_url: str) -> None:
    async with listening(database_url) as ear:
        await enqueue(db, queue)
        await eventually(lambda: ear.heard == ["tasks"], within=20)

        async with db.transaction():
            await queue.publish(GREETED, new_id(), ADA)
        await eventually(lambda: ear.heard == ["tasks", "outbox"], within=20)

        queue.wake("cancel:1")
        await eventually(lambda: ear.heard == ["tasks", "outbox", "cancel:1"], within=20)


async def test_nothing_is_said_before_the_commit(watched: tuple[Database, Watcher], database_url: str) -> None:
    db, watcher = watched
    async with open_queue(db) as queue, listening(database_url) as ear:
        async with db.transaction():
            await queue.enqueue(GREET, ADA)
            async with db.detached() as beside:  # more than an interval long
                await beside.execute("SELECT pg_sleep(:seconds)", {"seconds": 3 * INTERVAL})
            assert "notify_workers" not in watcher.seen
        await eventually(lambda: ear.heard == ["tasks"], within=20)

    seen = [name for name in watcher.seen if name in {"begin", "insert_tasks", "commit", "notify_workers"}]
    assert seen == ["begin", "insert_tasks", "commit", "notify_workers"]


async def test_a_rollback_says_nothing(watched: tuple[Database, Watcher], database_url: str) -> None:
    db, watcher = watched
    async with open_queue(db) as queue, listening(database_url) as ear:
        with contextlib.suppress(ZeroDivisionError):
            async with db.transaction():
                await queue.enqueue(GREET, ADA)
                await queue.publish(GREETED, new_id(), ADA)
                raise ZeroDivisionError
        async with db.transaction():
            with contextlib.suppress(ZeroDivisionError):
                async with db.transaction():
                    await queue.publish(GREETED, new_id(), ADA)
                    raise ZeroDivisionError
            await queue.enqueue(GREET, ADA)
        await eventually(lambda: "tasks" in ear.heard, within=20)
        await last_word(db, ear)

    assert ear.heard == ["tasks"]
    assert watcher.seen.count("notify_workers") == 2  # the one, and the last word


async def test_a_task_that_stands_for_another_wakes_nobody_again(
    watched: tuple[Database, Watcher], database_url: str
) -> None:
    db, watcher = watched
    async with open_queue(db) as queue, listening(database_url) as ear:
        for _ in range(2):
            async with db.transaction():
                await queue.enqueue(GREET, ADA, dedupe_key="k")
            await eventually(lambda: ear.heard == ["tasks"], within=20)
        queue.wake("the end")
        await eventually(lambda: "the end" in ear.heard, within=20)

    assert ear.heard == ["tasks", "the end"]
    assert watcher.seen.count("notify_workers") == 2


async def test_any_number_of_commits_is_one_hint_in_each_interval(
    watched: tuple[Database, Watcher], database_url: str
) -> None:
    db, watcher = watched
    commits = 300
    async with open_queue(db) as queue, listening(database_url) as ear:
        began = time.monotonic()
        for _ in range(commits):
            async with db.transaction():
                await queue.enqueue(GREET, ADA)
                await queue.publish(GREETED, new_id(), ADA)
        queue.wake("the end")
        await eventually(lambda: "the end" in ear.heard, within=20)
        took = time.monotonic() - began

    said = watcher.seen.count("notify_workers")
    assert watcher.seen.count("commit") == commits
    assert 1 <= said <= took / INTERVAL + 2
    assert said < commits / 2
    assert ear.heard.count("tasks") <= said
    assert ear.heard.count("outbox") <= said


async def test_the_last_commit_is_always_heard(db: Database, queue: Queue, database_url: str) -> None:
    """Also one that comes while the waker is silent for its interval."""
    async with listening(database_url) as ear:
        for _ in range(5):
            await enqueue(db, queue)
            await eventually(lambda: "tasks" in ear.heard, within=20)
            ear.heard.clear()


async def test_the_business_transaction_itself_holds_no_notify(db: Database, database_url: str) -> None:
    """With a waker that does not run, nothing is heard at all; the naive way is, so the ear would hear it."""
    silent = Queue(db, Waker(db))
    async with listening(database_url) as ear:
        async with db.transaction():
            await silent.enqueue(GREET, ADA)
            await silent.enqueue_many(GREET, [ADA, ADA])
            await silent.publish(GREETED, new_id(), ADA)
        await last_word(db, ear)
        heard = ear.heard.copy()
        async with db.transaction():
            await db.execute("SELECT pg_notify(:channel, 'naive')", {"channel": CHANNEL})
        await last_word(db, ear)

    assert heard == []
    assert ear.heard == ["naive"]


# What waits for the lock that NOTIFY takes of the whole database (class 1262 is pg_database).
NOTIFY_LOCK = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 1262 AND objid = 0 AND granted = $1"
)


@asynccontextmanager
async def commit_that_hangs(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A NOTIFY whose COMMIT waits for a standby that does not exist, and holds the lock meanwhile."""
    admin, sender = await asyncpg.connect(url), await asyncpg.connect(url)
    over = asyncio.Event()

    async def notify() -> None:
        await sender.execute("SET synchronous_commit = on")
        while not over.is_set():  # the server takes a moment to mind its new settings
            await sender.execute(f"BEGIN; NOTIFY {CHANNEL}, 'naive'; COMMIT")

    await wait_for_standby(admin, "'nobody'")
    hanging = asyncio.create_task(notify())
    try:
        shown = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'"
        await eventually(lambda: admin.fetchval(shown, sender.get_server_pid()), within=20)
        assert await admin.fetchval(NOTIFY_LOCK, True) == 1
        yield admin
    finally:
        over.set()
        await wait_for_standby(admin, "DEFAULT")
        await hanging
        await sender.close()
        await admin.close()


async def wait_for_standby(admin: asyncpg.Connection, name: str) -> None:
    await admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = {name}")
    await admin.execute("SELECT pg_reload_conf()")


@pytest.mark.fault
async def test_no_commit_of_ours_waits_for_the_lock_of_notify_and_the_naive_one_does(
    own_settings: TestSettings, own_postgres: PostgresServer
) -> None:
    async with open_database(own_settings().database) as db, open_queue(db) as queue:
        naive = await asyncpg.connect(own_postgres.url)
        async with commit_that_hangs(own_postgres.url) as admin:
            lined_up = asyncio.create_task(naive.execute(f"BEGIN; NOTIFY {CHANNEL}, 'naive'; COMMIT"))
            await eventually(lambda: admin.fetchval(NOTIFY_LOCK, False), within=20)

            for _ in range(20):
                async with asyncio.timeout(20), db.transaction():
                    await queue.enqueue(GREET, ADA)
                    await queue.publish(GREETED, new_id(), ADA)

            assert await admin.fetchval("SELECT count(*) FROM outbox") >= 20
            assert not lined_up.done()
        await lined_up
        await naive.close()


@pytest.mark.fault
async def test_a_lost_database_costs_a_hint_and_the_waker_lives_on(
    own_settings: TestSettings, own_postgres: PostgresServer
) -> None:
    async with open_database(own_settings("database.acquire_timeout=1").database) as db, open_queue(db) as queue:
        async with listening(own_postgres.url) as ear:
            await enqueue(db, queue)
            await eventually(lambda: ear.heard == ["tasks"], within=20)

        with capture_logs() as logs:
            await own_postgres.stop(Stop.IMMEDIATE)
            queue.wake("lost")
            await eventually(lambda: "wake_failed" in [line["event"] for line in logs], within=20)
        await own_postgres.start()

        async with listening(own_postgres.url) as ear:
            await eventually(lambda: _stored(db, queue), within=20)
            await eventually(lambda: "tasks" in ear.heard, within=20)

    assert "lost" not in ear.heard


async def _stored(db: Database, queue: Queue) -> bool:
    """A pool whose connections were lost may refuse the first time."""
    await enqueue(db, queue)
    return True


async def test_an_answer_with_an_error_does_not_end_the_waker(queue: Queue, database_url: str) -> None:
    async with listening(database_url) as ear:
        with capture_logs() as logs:
            queue.wake("x" * 9000)  # more than PostgreSQL takes
            await eventually(lambda: "wake_failed" in [line["event"] for line in logs], within=20)
        queue.wake("again")
        await eventually(lambda: ear.heard == ["again"], within=20)
