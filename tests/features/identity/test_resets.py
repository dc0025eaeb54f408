"""A new password for whoever reads the mail of the account: once, soon, and with an end to all that was signed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.core.database import Database
from app.features.identity.sealing import seal
from tests.features.identity.people import PASSWORD, Browser, Person, make_person, signed_in
from tests.features.identity.post import ADA, ANOTHER_PASSWORD, Post, acts, open_post, token_of
from tests.harness.fixtures import StartApp, StartWorker
from tests.harness.settings import TestSettings
from tests.harness.talking import talking


@pytest.fixture
async def post(app_process: StartApp, worker: StartWorker) -> AsyncIterator[Post]:
    async with open_post(app_process, worker) as opened:
        yield opened


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db, email=ADA)


async def sign_in(post: Post, password: str) -> int:
    return (await Browser(post.app).post("/auth/login", {"email": ADA, "password": password})).status_code


async def test_a_new_password_ends_all_that_the_old_one_has_begun(post: Post, db: Database, ada: Person) -> None:
    browser = await signed_in(post.app, db, ada)
    pair = (await post.ask("/token", email=ADA, password=PASSWORD)).json()
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    async with talking(post.app, headers=browser.sent()) as socket:
        token = await post.forgotten()

        before = [(await browser.get("/auth/me")).status_code, await sign_in(post, PASSWORD)]
        answer = await post.ask("/password/reset", token=token, new=ANOTHER_PASSWORD)
        closed, _ = await socket.ended()

    told = (await post.next_mail()).text
    assert (answer.status_code, answer.content, before) == (204, b"", [200, 200])
    assert closed == 1008
    assert (await browser.get("/auth/me")).status_code == 401
    assert (await post.app.http.get("/api/v1/auth/me", headers=bearer)).status_code == 401
    assert (await post.ask("/token/refresh", refresh_token=pair["refresh_token"])).status_code == 401
    assert [await sign_in(post, PASSWORD), await sign_in(post, ANOTHER_PASSWORD)] == [401, 200]
    assert "A new password was set" in told
    assert [each for each in await acts(db) if "reset" in each] == ["password_reset_asked", "password_reset"]


async def test_only_those_who_may_sign_in_get_a_mail(post: Post, db: Database) -> None:
    await make_person(db, email="gone@example.org", active=False)
    await make_person(db, email="elsewhere@example.org")
    await db.execute("UPDATE users SET password_hash = NULL WHERE email = 'elsewhere@example.org'")

    for email in ("gone@example.org", "nobody@example.org", "elsewhere@example.org"):
        assert (await post.ask("/password/reset-request", email=email)).status_code == 202
    await post.worker.settle()

    (received,) = post.server.received
    assert received.recipient == "elsewhere@example.org"
    assert "no password here" in received.text
    assert await db.fetch_val("SELECT count(*) FROM password_resets") == 0


@pytest.fixture
async def unlimited(app_process: StartApp, worker: StartWorker) -> AsyncIterator[Post]:
    """For a crowd that is told to come again: on a busy machine it does so more often than an address may ask."""
    async with open_post(app_process, worker, "rate_limit.enabled=false") as opened:
        yield opened


@pytest.mark.usefixtures("ada")
async def test_of_twenty_uses_of_one_token_at_once_one_succeeds(unlimited: Post, db: Database) -> None:
    """Looked up first and deleted later, it would be good for all that come between the two."""
    token = await unlimited.forgotten()
    passwords = [f"{ANOTHER_PASSWORD} {number}" for number in range(20)]

    async def use(new: str) -> int:
        """503 says that too many were hashed at once, and to come again."""
        while (answer := await unlimited.ask("/password/reset", token=token, new=new)).status_code == 503:
            assert answer.headers["Retry-After"]
        return answer.status_code

    statuses = await asyncio.gather(*map(use, passwords))

    assert sorted(statuses) == [204] + [400] * 19
    assert await sign_in(unlimited, passwords[statuses.index(204)]) == 200
    assert (await acts(db)).count("password_reset") == 1


@pytest.mark.usefixtures("ada")
async def test_the_use_of_one_token_voids_all_others_of_the_user(post: Post, db: Database) -> None:
    first, second = await post.forgotten(), await post.forgotten()

    answers = await asyncio.gather(
        post.ask("/password/reset", token=first, new=f"{ANOTHER_PASSWORD} 1"),
        post.ask("/password/reset", token=second, new=f"{ANOTHER_PASSWORD} 2"),
    )

    assert sorted(answer.status_code for answer in answers) == [204, 400]
    assert await db.fetch_val("SELECT count(*) FROM password_resets") == 0


@pytest.mark.usefixtures("ada")
async def test_a_token_is_too_old_after_half_an_hour(post: Post, db: Database) -> None:
    token = await post.forgotten()
    left = await db.fetch_val("SELECT extract(epoch FROM expires_at - now()) FROM password_resets")

    await db.execute("UPDATE password_resets SET expires_at = now()")
    answer = await post.ask("/password/reset", token=token, new=ANOTHER_PASSWORD)

    assert 1_700 < left <= 1_800
    assert (answer.status_code, answer.json()["error"][:14]) == (400, "This token is ")
    assert await sign_in(post, PASSWORD) == 200


@pytest.mark.usefixtures("ada")
async def test_a_token_is_void_once_the_user_may_not_sign_in(post: Post, db: Database) -> None:
    token = await post.forgotten()

    await db.execute("UPDATE users SET is_active = false")
    answer = await post.ask("/password/reset", token=token, new=ANOTHER_PASSWORD)

    assert answer.status_code == 400


@pytest.mark.usefixtures("ada")
async def test_a_token_of_another_purpose_sets_no_password(post: Post, db: Database, settings: TestSettings) -> None:
    right = await post.forgotten()
    secret, id_ = settings().session.secret, await db.fetch_val("SELECT id FROM password_resets")
    assert isinstance(id_, UUID)

    wrong = [seal(secret, purpose, id_) for purpose in ("verify", "refresh", "")]
    answers = [await post.ask("/password/reset", token=token, new=ANOTHER_PASSWORD) for token in (*wrong, right + "A")]

    assert {answer.status_code for answer in answers} == {400}
    assert right == seal(secret, "reset", id_), "else the others prove nothing"
    assert (await post.ask("/password/reset", token=right, new=ANOTHER_PASSWORD)).status_code == 204


@pytest.mark.usefixtures("ada")
async def test_a_password_that_may_not_be_chosen_costs_no_token(post: Post) -> None:
    token = await post.forgotten()

    for new in ("short", "password1234", ADA, "x" * 1025, "漢" * 400):
        refused = await post.ask("/password/reset", token=token, new=new)
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["new"]), new

    assert (await post.ask("/password/reset", token=token, new=ANOTHER_PASSWORD)).status_code == 204


async def test_the_second_factor_stays(post: Post, db: Database, ada: Person) -> None:
    """Else whoever reads somebody's mail would need no more than that."""
    await db.execute(
        "INSERT INTO second_factors (user_id, secret, confirmed_at) VALUES (:id, 'secret', now())", {"id": ada.id}
    )
    token = await post.forgotten()

    answer = await post.ask("/password/reset", token=token, new=ANOTHER_PASSWORD)
    signed = await Browser(post.app).post("/auth/login", {"email": ADA, "password": ANOTHER_PASSWORD})

    assert answer.status_code == 204
    assert (signed.status_code, signed.json()["details"]) == (401, {"second_factor": "required"})


@pytest.mark.usefixtures("ada")
async def test_a_mail_that_is_sent_again_brings_no_used_token_back(post: Post, db: Database) -> None:
    """A worker that dies after the server took the mail has its task run again: a row made then would be a new one."""
    token = await post.forgotten()
    assert (await post.ask("/password/reset", token=token, new=ANOTHER_PASSWORD)).status_code == 204
    await post.worker.settle()
    mails = len(post.server.received)

    async with db.transaction():
        await db.execute(
            "INSERT INTO tasks (id, task_type, payload, priority, max_retries, run_at)"
            " SELECT uuidv7(), task_type, payload, 0, 1, now() FROM finished_tasks"
            " WHERE task_type = 'identity.send_reset'"
        )
    ran = await post.worker.settle()
    again = await post.ask("/password/reset", token=token, new=f"{ANOTHER_PASSWORD} 2")

    assert (ran, len(post.server.received), again.status_code) == (1, mails, 400)
    assert token_of(post.server.received[0]) == token
