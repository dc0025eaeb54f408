"""Mails of identity and the worker: what is tried again, what is given up, and where a token is never found."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from app.bootstrap import FEATURES
from app.core.database import Database
from app.core.ids import new_id
from app.feature import registry_of
from app.features.identity.service.mails import HAPPENED, notify
from app.features.identity.tasks import Notice
from tests.features.identity.people import API, PASSWORD, make_person
from tests.features.identity.post import ADA, ANOTHER_PASSWORD, LIMITS, Post, open_post, token_of
from tests.harness.fixtures import StartApp, StartWorker
from tests.harness.mail_server import MailServer, open_mail_server
from tests.harness.stepped_worker import SteppedWorker
from tests.harness.waiting import eventually

EVERYTHING = "SELECT CAST(t AS text) AS line FROM {} AS t"
TABLES = ("tasks", "finished_tasks", "outbox", "processed_events", "registrations", "password_resets", "users")


@pytest.fixture
async def post(app_process: StartApp, worker: StartWorker) -> AsyncIterator[Post]:
    async with open_post(app_process, worker, "worker.retry_delay=0") as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with open_mail_server() as opened:
        yield opened


async def tasks(db: Database) -> list[tuple[str, str]]:
    """Of mails: how it is with each, and what its last error was."""
    rows = await db.fetch_all(
        "SELECT status, coalesce(last_error, '') AS error FROM"
        " (SELECT id, task_type, status, last_error FROM tasks"
        " UNION ALL SELECT id, task_type, status, last_error FROM finished_tasks) AS t"
        " WHERE task_type LIKE 'identity.send_%' ORDER BY id"
    )
    return [(row["status"], row["error"].split("\n")[0]) for row in rows]


async def told(worker: SteppedWorker, db: Database, *notices: Notice) -> None:
    person = await make_person(db, email=ADA)
    async with worker.resources.database.transaction():
        for each in notices:
            await notify(worker.resources, person.id, about=each)
    await worker.settle()


async def test_mail_that_is_off_is_dead_and_says_which_setting_to_set(worker: StartWorker, db: Database) -> None:
    await told(await worker(registry_of(FEATURES), "email.adapter=off"), db, Notice.PASSWORD_CHANGED)

    ((status, error),) = await tasks(db)
    assert status == "dead"
    assert "email.adapter" in error


async def test_a_recipient_that_is_refused_for_good_is_not_tried_again(
    worker: StartWorker, server: MailServer, db: Database
) -> None:
    server.refusals[ADA] = "550 5.1.1 no such user"

    await told(await worker(registry_of(FEATURES), *server.settings()), db, Notice.PASSWORD_CHANGED)

    ((status, error),) = await tasks(db)
    assert (status, "550 5.1.1 no such user" in error) == ("dead", True)


async def test_a_server_that_is_busy_is_asked_again_for_the_same_mail(
    worker: StartWorker, server: MailServer, db: Database
) -> None:
    stepped = await worker(registry_of(FEATURES), *server.settings(), "worker.retry_delay=0")
    server.refusals[ADA] = "450 4.2.1 later"
    person = await make_person(db, email=ADA)
    async with stepped.resources.database.transaction():
        await notify(stepped.resources, person.id, about=Notice.PASSWORD_CHANGED)
    await stepped.run_once()
    ((status, error),) = await tasks(db)

    server.refusals.clear()
    await stepped.settle()

    assert (status, "450 4.2.1 later" in error) == ("pending", True)
    (received,) = server.received
    task_id = await db.fetch_val("SELECT id FROM finished_tasks")
    assert received.message["Message-ID"] == f"<{task_id}@localhost>"


async def test_every_notice_says_what_happened_and_what_to_do(
    worker: StartWorker, server: MailServer, db: Database
) -> None:
    await told(await worker(registry_of(FEATURES), *server.settings()), db, *Notice)

    texts = [received.text for received in server.received]
    assert len(set(texts)) == len(Notice)
    assert sorted(text.split("\n")[0] for text in texts) == sorted(HAPPENED.values())
    assert all("If it was not" in text for text in texts)


async def test_a_user_who_is_gone_is_told_nothing(worker: StartWorker, server: MailServer) -> None:
    stepped = await worker(registry_of(FEATURES), *server.settings())
    async with stepped.resources.database.transaction():
        await notify(stepped.resources, new_id(), about=Notice.PASSWORD_CHANGED)

    ran = await stepped.settle()

    assert (ran, server.received) == (1, [])


async def test_no_token_and_no_password_is_kept_or_logged(app_process: StartApp, db: Database) -> None:
    """A token in the payload of its task would be read by every administrator, and by every backup."""
    async with open_mail_server() as server:
        app = await app_process(LIMITS, *server.settings(), "log.level=debug", role="both")

        async def ask(path: str, **body: str) -> int:
            return (await app.http.post(f"{API}/auth{path}", json=body)).status_code

        async def mail(number: int) -> str:
            await eventually(lambda: len(server.received) > number, within=15)
            return server.received[number].text

        statuses = [await ask("/register", email=ADA, password=PASSWORD, name="Ada")]
        await mail(0)
        tokens = [token_of(server.received[0])]
        statuses += [await ask("/email/verify", token=tokens[0])]
        statuses += [await ask("/password/reset-request", email=ADA)]
        await mail(1)
        tokens += [token_of(server.received[1])]
        before = await _everything(db)
        statuses += [await ask("/password/reset", token=tokens[1], new=ANOTHER_PASSWORD)]
        await mail(2)
        logged = "\n".join(map(json.dumps, app.logs))
        kept = before + await _everything(db)

    assert statuses == [201, 200, 202, 204]
    assert "identity.send_reset" in kept, "the right tables were read"
    assert "identity_password_reset" in logged, "and the right log"
    for secret in (*tokens, PASSWORD, ANOTHER_PASSWORD):
        assert secret not in kept
        assert secret not in logged
    assert ADA not in logged


async def _everything(db: Database) -> str:
    rows = [row for name in TABLES for row in await db.fetch_all(EVERYTHING.format(name))]
    return "\n".join(row["line"] for row in rows)
