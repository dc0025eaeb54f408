"""What the kit sweeps by itself: old rows go, young and living ones stay, and all of it comes on time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from app.bootstrap import FEATURES
from app.core.database import Database
from app.core.queue import Task
from app.core.resources import Resources
from app.core.settings.sections.worker import DAY
from app.feature import registry_of
from app.features.identity.service import housekeeping as identity
from app.features.queue import service as queue
from app.tasks.scheduler import Scheduler
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings
from tests.tasks.runners import Number, enqueue, opened, runner_of
from tests.tasks.sweeps import add_events, add_finished, add_processed, ages

SHIPPED = {
    "identity.sweep_jwt_tokens",
    "identity.sweep_mails",
    "identity.sweep_sessions",
    "queue.sweep_finished_tasks",
    "queue.sweep_idempotency_keys",
    "queue.sweep_outbox",
    "queue.sweep_processed_events",
}
SOMETHING = Task("test.something", Number)
LITTLE = 5 * 60.0  # seconds; more than a test takes on a busy machine

USER = """
INSERT INTO users (email, name, password_hash) VALUES ('ada@example.org', 'Ada', 'no hash') RETURNING id
"""
SESSION = """
INSERT INTO sessions (user_id, token_hash, csrf_token, expires_at)
SELECT :user_id, sha256(uuid_send(uuidv7())), 'no token', now() - CAST(:age AS double precision) * interval '1 second'
"""
TOKEN = """
INSERT INTO jwt_tokens (user_id, token_type, jti, access_jti, family_id, expires_at, revoked, revoked_at)
SELECT :user_id, 'refresh', uuidv7(), uuidv7(), uuidv7(), now() - CAST(:age AS double precision) * interval '1 second',
       :revoked, CASE WHEN :revoked THEN now() END
"""
REGISTRATION = """
INSERT INTO registrations (email, name, password_hash, expires_at)
SELECT 'eve@example.org', 'Eve', 'no hash', now() - CAST(:age AS double precision) * interval '1 second'
"""
RESET = """
INSERT INTO password_resets (user_id, expires_at)
SELECT :user_id, now() - CAST(:age AS double precision) * interval '1 second'
"""
KEY = """
INSERT INTO idempotency_keys (scope, key, fingerprint, status, headers, body, expires_at)
SELECT 'anonymous', CAST(uuidv7() AS text), sha256('request'), 200, '[]', '',
       now() - CAST(:age AS double precision) * interval '1 second'
"""


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings()) as resources:
        yield resources


@pytest.fixture
def db(resources: Resources) -> Database:
    return resources.database


@dataclass(frozen=True)
class Kept:
    """What is kept for `keep` seconds after `column`, unless the settings say otherwise."""

    setting: str
    keep: float
    table: str
    column: str
    add: Callable[..., Awaitable[None]]
    sweep: Callable[[Resources], Awaitable[int]]
    options: dict[str, str]
    also: tuple[str, ...] = ()  # settings that may not be more than this one


def finished(setting: str, keep: float, status: str) -> Kept:
    return Kept(
        setting,
        keep,
        "finished_tasks",
        "finished_at",
        add_finished,
        queue.sweep_finished_tasks,
        {"status": status},
    )


KEPT = {
    "done": finished("worker.keep_done", DAY, "done"),
    "dead": finished("worker.keep_dead", 30 * DAY, "dead"),
    "cancelled": finished("worker.keep_dead", 30 * DAY, "cancelled"),
    "events": Kept("worker.keep_events", 7 * DAY, "outbox", "processed_at", add_events, queue.sweep_outbox, {}),
    "processed": Kept(
        "worker.keep_processed",
        60 * DAY,
        "processed_events",
        "processed_at",
        add_processed,
        queue.sweep_processed_events,
        {},
        also=("worker.keep_events=1000", "worker.keep_dead=1000"),
    ),
}


@pytest.mark.parametrize("name", sorted(KEPT))
async def test_it_is_kept_as_long_as_the_setting_says(resources: Resources, db: Database, name: str) -> None:
    kept = KEPT[name]
    for age in (0, kept.keep - LITTLE, kept.keep + LITTLE, 2 * kept.keep):
        await kept.add(db, age=age, **kept.options)

    swept = await kept.sweep(resources)

    youngest, oldest = await ages(db, kept.table, kept.column)
    assert swept == 2
    assert youngest < LITTLE
    assert kept.keep - LITTLE <= oldest < kept.keep


@pytest.mark.parametrize("name", sorted(KEPT))
async def test_another_setting_keeps_it_for_another_time(settings: TestSettings, name: str) -> None:
    kept = KEPT[name]
    async with opened(settings(f"{kept.setting}=1000", *kept.also)) as resources:
        for age in (900 - LITTLE, 1001, kept.keep - LITTLE):
            await kept.add(resources.database, age=age, **kept.options)

        swept = await kept.sweep(resources)

        assert swept == 2
        assert len(await ages(resources.database, kept.table, kept.column)) == 1


async def test_tasks_that_are_not_finished_are_never_swept(resources: Resources, db: Database) -> None:
    """However old they are, and whatever their state is."""
    await enqueue(resources, SOMETHING, range(4))
    await db.execute("UPDATE tasks SET created_at = '2001-01-01', updated_at = '2001-01-01', run_at = '2001-01-01'")
    running = "status = 'running', locked_by = 'w', locked_until = '2001-01-01', lease_seq = 1"
    await db.execute(f"UPDATE tasks SET {running} WHERE payload ->> 'number' = '1'")  # noqa: S608  (a text of its own)
    waiting = "status = 'waiting', order_key = 'k', order_position = 1"
    await db.execute(f"UPDATE tasks SET {waiting} WHERE payload ->> 'number' = '2'")  # noqa: S608  (a text of its own)
    before = await db.fetch_all("SELECT * FROM tasks ORDER BY id")

    await add_finished(db, age=400 * DAY, number=3)
    swept = await queue.sweep_finished_tasks(resources)

    assert swept == 3
    assert {row["status"] for row in before} == {"pending", "running", "waiting"}
    assert await db.fetch_all("SELECT * FROM tasks ORDER BY id") == before


async def test_events_that_were_not_handed_on_are_never_swept(resources: Resources, db: Database) -> None:
    await add_events(db, age=400 * DAY, handed_on=False, number=3)
    await add_events(db, age=400 * DAY, number=2)

    assert await queue.sweep_outbox(resources) == 2

    assert await db.fetch_val("SELECT count(*) FROM outbox WHERE processed_at IS NULL") == 3


async def test_expired_answers_to_repeated_requests_go(resources: Resources, db: Database) -> None:
    for age in (-DAY, -LITTLE, 1, DAY):
        await db.execute(KEY, {"age": age})

    assert await queue.sweep_idempotency_keys(resources) == 2

    assert max(await ages(db, "idempotency_keys", "expires_at")) < 0


async def test_expired_sessions_go(resources: Resources, db: Database) -> None:
    user_id = await db.fetch_val(USER)
    for age in (-DAY, -LITTLE, 1, DAY):
        await db.execute(SESSION, {"user_id": user_id, "age": age})

    assert await identity.sweep_sessions(resources) == 2

    assert max(await ages(db, "sessions", "expires_at")) < 0


async def test_expired_tokens_go_and_revoked_ones_stay_until_then(resources: Resources, db: Database) -> None:
    user_id = await db.fetch_val(USER)
    for revoked in (False, True):
        for age in (-DAY, -LITTLE, 1, DAY):
            await db.execute(TOKEN, {"user_id": user_id, "age": age, "revoked": revoked})

    assert await identity.sweep_jwt_tokens(resources) == 4

    assert max(await ages(db, "jwt_tokens", "expires_at")) < 0
    assert await db.fetch_val("SELECT count(*) FROM jwt_tokens WHERE revoked") == 2


async def test_registrations_and_resets_that_nobody_confirmed_in_time_go(resources: Resources, db: Database) -> None:
    user_id = await db.fetch_val(USER)
    for age in (-DAY, -LITTLE, 1, DAY):
        await db.execute(REGISTRATION, {"age": age})
        await db.execute(RESET, {"user_id": user_id, "age": age})

    assert await identity.sweep_mails(resources) == 4

    assert max(await ages(db, "registrations", "expires_at")) < 0
    assert max(await ages(db, "password_resets", "expires_at")) < 0
    assert await db.fetch_val("SELECT count(*) FROM users") == 1


def test_each_schedule_that_ships_is_known_and_its_task_is_done_by_somebody() -> None:
    registry = registry_of(FEATURES)

    assert {schedule.name for schedule in registry.schedules} == SHIPPED
    for schedule in registry.schedules:
        runnable = registry.runnables[schedule.task.name]
        assert runnable.declared.task == schedule.task  # type: ignore[union-attr]  # a handler, as subscribers have none
        assert runnable.concurrency == 1


async def test_within_an_hour_each_of_them_has_come_and_was_done(resources: Resources, clock: FakeClock) -> None:
    registry = registry_of(FEATURES)
    timed = replace(resources, clock=clock)
    scheduler, runner = Scheduler(timed, registry), runner_of(resources, registry)
    await scheduler.run_once()

    names = []
    for _ in range(60):
        clock.advance(60)
        names += await scheduler.run_once()
        while await runner.run_once():
            pass

    ended = await resources.database.fetch_all("SELECT task_type, status, last_error FROM finished_tasks")
    assert set(names) == SHIPPED
    assert sorted(row["task_type"] for row in ended) == sorted(names)
    assert {(row["status"], row["last_error"]) for row in ended} == {("done", None)}
    assert names.count("queue.sweep_finished_tasks") == names.count("queue.sweep_outbox") == 6
    assert names.count("identity.sweep_sessions") == 1
