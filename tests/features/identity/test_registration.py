"""Becoming a user: by the mail that only the owner of the address reads, and in no other way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.bootstrap import FEATURES
from app.core.database import Database
from app.core.errors import ValidationFailed
from app.feature import registry_of
from app.features.identity.bounded_threads import BoundedThreads
from app.features.identity.models import Visitor
from app.features.identity.sealing import seal
from app.features.identity.service.registration import register
from tests.features.identity.people import API, PASSWORD, PATIENT, Browser, make_person
from tests.features.identity.post import ADA, ANOTHER_PASSWORD, Post, acts, open_post, token_of, users
from tests.harness.fixtures import StartApp, StartWorker
from tests.harness.settings import TestSettings
from tests.tasks.runners import opened


@pytest.fixture
async def post(app_process: StartApp, worker: StartWorker) -> AsyncIterator[Post]:
    async with open_post(app_process, worker) as opened:
        yield opened


async def sign_in(post: Post, email: str, password: str) -> int:
    return (await Browser(post.app).post("/auth/login", {"email": email, "password": password})).status_code


async def test_who_registers_and_confirms_the_address_is_a_user(post: Post, db: Database) -> None:
    answer = await post.register(" Ada@Example.org ", name=" Ada L. ")
    before = (await users(db), await sign_in(post, ADA, PASSWORD))
    verified = await post.ask("/email/verify", token=token_of(await post.next_mail()))

    assert (answer.status_code, answer.json()) == (201, {"email": ADA})
    assert before == ([], 401), "nobody is a user before the address is known to be theirs"
    user = verified.json()
    assert verified.status_code == 200
    assert {name: user[name] for name in ("email", "name", "role", "is_active", "email_verified")} == {
        "email": ADA,
        "name": "Ada L.",
        "role": "user",
        "is_active": True,
        "email_verified": True,
    }
    assert "password" not in verified.text
    assert verified.headers["Cache-Control"] == "no-store"
    assert await sign_in(post, ADA, PASSWORD) == 200
    assert (await acts(db))[0] == "registered"
    assert "email_verified" in await acts(db)


async def test_a_mail_holds_a_link_where_there_is_a_page_for_it_else_the_bare_token(
    post: Post, worker: StartWorker
) -> None:
    """Behind `#`: in a query, the token would be in the log of every server on the way."""
    page = "email.verify_url=https://app.example/confirm"
    with_page = await worker(registry_of(FEATURES), *post.server.settings(), page)

    await post.register()
    bare = await post.next_mail()
    await post.register()
    await with_page.settle()
    linked = post.server.to(ADA)[-1]

    assert "give this token" in bare.text
    assert "http" not in bare.text
    assert f"\nhttps://app.example/confirm#token={token_of(linked)}\n" in linked.text


async def test_the_password_of_an_account_is_that_of_whoever_reads_the_mail(post: Post) -> None:
    """Pre-hijacking: a row for the address, made by the first to ask, would keep the stranger's password."""
    await post.register(ADA, ANOTHER_PASSWORD, "Mallory")
    strangers = token_of(await post.next_mail())
    own = await post.registered(ADA, PASSWORD)

    verified = await post.ask("/email/verify", token=own)
    again = await post.ask("/email/verify", token=strangers)

    assert (verified.status_code, verified.json()["name"]) == (200, "Ada")
    assert again.status_code == 400, "what the stranger has asked for is void from then on"
    assert await sign_in(post, ADA, PASSWORD) == 200
    assert await sign_in(post, ADA, ANOTHER_PASSWORD) == 401


async def test_a_mail_to_a_stranger_holds_nothing_that_another_stranger_wrote(post: Post) -> None:
    """A greeting by name would send anybody's advertisement to anybody, in our name."""
    await post.register(name="You have won: https://evil.example")

    received = await post.next_mail()

    assert "evil" not in received.message.as_string()


async def test_an_address_that_is_a_users_is_told_so_by_mail_and_keeps_its_password(post: Post, db: Database) -> None:
    person = await make_person(db, email=ADA)

    answer = await post.register(ADA, ANOTHER_PASSWORD, "Mallory")
    received = await post.next_mail()

    assert answer.status_code == 201
    assert "You have an account" in received.text
    assert not any(len(word) == 64 for word in received.text.split())
    assert await sign_in(post, ADA, person.password) == 200


async def test_a_token_is_used_once(post: Post, db: Database) -> None:
    token = await post.registered()

    answers = await asyncio.gather(*(post.ask("/email/verify", token=token) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert await users(db) == [ADA]


async def test_of_two_registrations_confirmed_at_once_one_is_taken(post: Post, db: Database) -> None:
    """Each deletes the other's row: locks in two orders would end one of them with a deadlock, a 503."""
    tokens = [await post.registered() for _ in range(6)]

    answers = await asyncio.gather(*(post.ask("/email/verify", token=token) for token in tokens))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
    assert await users(db) == [ADA]
    assert await db.fetch_val("SELECT count(*) FROM registrations") == 0


async def test_a_token_is_too_old_after_a_day(post: Post, db: Database) -> None:
    token = await post.registered()
    left = await db.fetch_val("SELECT extract(epoch FROM expires_at - now()) FROM registrations")

    await db.execute("UPDATE registrations SET expires_at = now()")
    answer = await post.ask("/email/verify", token=token)

    assert 86_300 < left <= 86_400
    assert (answer.status_code, await users(db)) == (400, [])


async def test_a_registration_that_is_too_old_gets_no_mail_any_more(post: Post, db: Database) -> None:
    await post.register()
    await db.execute("UPDATE registrations SET expires_at = now()")

    await post.worker.settle()

    assert post.server.received == []


async def test_an_address_taken_meanwhile_stays_with_whoever_has_it(post: Post, db: Database) -> None:
    token = await post.registered(ADA, ANOTHER_PASSWORD)
    await make_person(db, email=ADA, password=PASSWORD)

    answer = await post.ask("/email/verify", token=token)

    assert answer.status_code == 400
    assert await sign_in(post, ADA, PASSWORD) == 200


async def test_a_token_of_another_purpose_confirms_nothing(post: Post, db: Database, settings: TestSettings) -> None:
    """A seal over the id alone would let a mail for one thing open another."""
    right = await post.registered()
    secret, id_ = settings().session.secret, await db.fetch_val("SELECT id FROM registrations")
    assert isinstance(id_, UUID)

    wrong = [seal(secret, purpose, id_) for purpose in ("reset", "refresh", "")]
    answers = [await post.ask("/email/verify", token=token) for token in (*wrong, right[:-1], right + "A", str(id_))]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(400, "BAD_REQUEST")}
    assert right == seal(secret, "verify", id_), "else the others prove nothing"
    assert (await post.ask("/email/verify", token=right)).status_code == 200


async def test_nobody_chooses_what_they_may_do(post: Post, db: Database) -> None:
    """Mass assignment: `insert(users).values(**body)` would make an administrator."""
    body = {"email": ADA, "password": PASSWORD, "name": "Ada"}
    token = await post.registered()

    for extra in ({"role": "admin"}, {"is_active": True}, {"email_verified": True}, {"id": "1"}):
        for refused in (
            await post.ask("/register", **body, **extra),
            await post.ask("/email/verify", token=token, **extra),
        ):
            assert (refused.status_code, list(refused.json()["details"])) == (400, list(extra))

    assert await users(db) == []
    assert await db.fetch_val("SELECT count(*) FROM registrations") == 1, "that of the token"


NO_ADDRESS = (
    *("", "ada", "@", "a@", "@b", "a@b@c", "a b@example.org", "a@example.org,b@example.org", "<a@example.org>"),
    *("a@example.org\r\nBcc: b@example.org", "a\x00@example.org", "a" * 250 + "@example.org"),
    *("a@ex\u202eample.org", "İ" * 200 + "@example.org"),
)


async def test_what_is_no_address_is_refused(post: Post, db: Database) -> None:
    for email in NO_ADDRESS:
        for refused in (await post.register(email), await post.ask("/password/reset-request", email=email)):
            assert (refused.status_code, list(refused.json()["details"])) == (400, ["email"]), email

    assert await db.fetch_val("SELECT count(*) FROM tasks") == 0


async def test_a_password_that_may_not_be_chosen_is_refused(post: Post, db: Database) -> None:
    for password in ("short", "password1234", ADA, "x" * 1025, "漢" * 400):
        refused = await post.register(password=password)
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["password"]), password

    assert await db.fetch_val("SELECT count(*) FROM registrations") == 0


async def test_a_password_over_a_kilobyte_is_refused_before_it_costs_anything(
    settings: TestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing it first would let anybody buy much of our time with a few bytes of theirs."""
    ran: list[object] = []

    async def run(_: BoundedThreads, work: object, *_about: object, **_more: object) -> str:
        ran.append(work)
        return "what it gave"

    monkeypatch.setattr(BoundedThreads, "run", run)
    async with opened(settings()) as resources:
        for password in ("x" * 1025, "漢" * 342, "x" * 1_000_000):
            with pytest.raises(ValidationFailed):
                await register(resources, Visitor("192.0.2.1"), email=ADA, password=password, name="Ada")
        refused_before = list(ran)
        await register(resources, Visitor("192.0.2.1"), email=ADA, password="x" * 1024, name="Ada")

    assert (refused_before, len(ran)) == ([], 2), "judged and hashed, had it been short enough"


async def test_an_address_gets_so_many_mails_an_hour_however_it_is_written(app_process: StartApp) -> None:
    app = await app_process("rate_limit.mails_per_account=2", PATIENT)
    spellings = ("ada.l@example.org", "ADA.L@example.org", "adal@example.org", "ada.l+1@example.org")

    answers = [
        await app.http.post(
            f"{API}/auth/password/reset-request", json={"email": each}, headers={"X-Forwarded-For": each}
        )
        for each in spellings
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) > 3000
