"""Guessing passwords over HTTP: no spelling, header, other door, crowd or outage lets more through than the limit."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from app.core.database import Database, open_database
from app.embedded import RedisServer
from tests.features.identity.people import API, Person, make_person
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

FEW = ("rate_limit.sign_ins_per_account=3", "rate_limit.sign_ins_per_address=20")
PATIENT = "redis.timeout=30"  # on a busy machine, what did not wait for Redis would be counted elsewhere
WRONG = "a password that is wrong"


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await app_process(*FEW, PATIENT)


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db, email="ada.lovelace@engines.example")


async def sign_in(app: AppProcess, email: str, password: str = WRONG, **headers: str) -> httpx.Response:
    body = {"email": email, "password": password}
    return await app.http.post(f"{API}/auth/login", json=body, headers=headers)


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


async def test_after_the_last_try_the_right_password_has_to_wait_too(app: AppProcess, ada: Person) -> None:
    wrong = [await sign_in(app, ada.email) for _ in range(4)]
    right = await sign_in(app, ada.email, ada.password)

    assert statuses(wrong) == [401, 401, 401, 429]
    assert right.status_code == 429
    assert 1 <= int(right.headers["Retry-After"]) <= 900
    assert right.json() == {"error": "Too many tries to sign in; please wait.", "code": "RATE_LIMITED"}


async def test_an_account_that_is_not_there_waits_as_well(app: AppProcess, ada: Person) -> None:
    known = [await sign_in(app, ada.email) for _ in range(5)]
    unknown = [await sign_in(app, "nobody@engines.example") for _ in range(5)]

    assert statuses(known) == statuses(unknown)
    assert [answer.json() for answer in known] == [answer.json() for answer in unknown]


async def test_who_signs_in_in_between_is_not_held_back(app: AppProcess, ada: Person) -> None:
    answers = [await sign_in(app, ada.email, password) for password in [WRONG, WRONG, ada.password] * 3]

    assert statuses(answers) == [401, 401, 200] * 3


async def test_spellings_are_no_way_around(app: AppProcess, ada: Person) -> None:
    spellings = [
        "Ada.Lovelace@engines.example",
        "ADA.LOVELACE@ENGINES.EXAMPLE",
        "adalovelace@engines.example",
        "a.da.lovelace@engines.example",
        "ada.lovelace+tag@engines.example",
        "ada.lovelace@engines.example.",
        "\uff41da.lovelace@engines.example",
        " ada.lovelace@engines.example",
    ]

    answers = [await sign_in(app, each) for each in spellings]
    after = await sign_in(app, ada.email, ada.password)

    # Counted by what was sent, each spelling would have three tries, and the first two find Ada's account.
    assert Counter(statuses(answers)) == {401: 3, 429: len(spellings) - 3}
    assert after.status_code == 429


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"])
async def test_a_header_is_no_other_address(app: AppProcess, ada: Person, name: str) -> None:
    def made_up(n: int) -> str:
        return f"for=192.0.2.{n}" if name == "Forwarded" else f"192.0.2.{n}"

    answers = [await sign_in(app, ada.email, **{name: made_up(n)}) for n in range(5)]

    assert statuses(answers) == [401, 401, 401, 429, 429]


async def test_behind_a_trusted_proxy_only_what_it_appends_is_an_address(app_process: StartApp, ada: Person) -> None:
    behind = await app_process(*FEW, PATIENT, "server.trusted_proxies=127.0.0.0/8")

    forged = [await sign_in(behind, ada.email, **{"X-Forwarded-For": f"192.0.2.{n}, 198.51.100.7"}) for n in range(5)]
    owner = await sign_in(behind, ada.email, ada.password, **{"X-Forwarded-For": "198.51.100.8"})

    assert statuses(forged) == [401, 401, 401, 429, 429]
    # The control: the address does count, so another one is let in, and nobody is locked out by a stranger.
    assert owner.status_code == 200


async def test_the_door_for_programs_is_no_second_chance(app: AppProcess, ada: Person) -> None:
    doors = ["login", "token"] * 3

    answers = [
        await app.http.post(f"{API}/auth/{door}", json={"email": ada.email, "password": WRONG}) for door in doors
    ]

    assert statuses(answers) == [401, 401, 401, 429, 429, 429]


async def test_a_hundred_tries_at_once_are_no_more_than_the_limit(app: AppProcess, ada: Person) -> None:
    # Where tries are counted once they have failed, all of these would be looked at.
    answers = await asyncio.gather(*(sign_in(app, ada.email) for _ in range(100)))

    assert Counter(statuses(answers)) == {401: 3, 429: 97}


async def test_many_accounts_from_one_address_are_no_more_than_its_limit(app: AppProcess) -> None:
    answers = [await sign_in(app, f"user{n}@engines.example") for n in range(25)]

    assert statuses(answers) == [401] * 20 + [429] * 5


EMAILS = ["a\0@x.example", "\ud800@x.example", "@@@", "a@" + "x" * 252, "\u202e@x", "'--@x", "\U0001f9a6@\U0001f9a6"]
PASSWORDS = ["\0", "\ud800", "x" * 1025, "\U0001f9a6" * 257, "\U0001f9a6" * 256, "e" + "\u0301" * 511]


async def test_whatever_is_sent_is_refused_and_breaks_nothing(app_process: StartApp) -> None:
    app = await app_process("rate_limit.enabled=false")

    answers = [
        # Half a surrogate pair can't be sent but escaped.
        await app.http.post(
            f"{API}/auth/login",
            content=json.dumps({"email": email, "password": password}),
            headers={"Content-Type": "application/json"},
        )
        for email in EMAILS
        for password in PASSWORDS
    ]

    assert set(statuses(answers)) == {400, 401}


@pytest.fixture
async def own_db(own_settings: TestSettings) -> AsyncIterator[Database]:
    async with open_database(own_settings().database) as database:
        yield database


@pytest.mark.fault
async def test_without_redis_the_limit_holds(
    app_process: StartApp, own_settings: TestSettings, own_redis: RedisServer, own_db: Database
) -> None:
    """Limits of routes let everybody through meanwhile: guessing would have no end."""
    eve = await make_person(own_db)
    a_try_is_to_notice = "redis.health_interval=300"  # not a probe, which may come first
    app = await app_process(*FEW, PATIENT, a_try_is_to_notice, settings=own_settings)
    await own_redis.stop()

    try:
        answers = [await sign_in(app, eve.email) for _ in range(20)]
        right = await sign_in(app, eve.email, eve.password)
        assert app.events("redis_unavailable")
        assert len(app.events("tries_counted_alone")) == 1
    finally:
        await own_redis.restart()

    assert Counter(statuses(answers)) == {401: 3, 429: 17}
    assert right.status_code == 429


@pytest.mark.fault
async def test_without_redis_people_sign_in_all_the_same(
    app_process: StartApp, own_settings: TestSettings, own_redis: RedisServer, own_db: Database
) -> None:
    bob = await make_person(own_db)
    app = await app_process(*FEW, "redis.timeout=0.5", settings=own_settings)
    await own_redis.stop()

    try:
        await eventually(lambda: app.events("redis_unavailable") or sign_in(app, "nobody@x.example"), within=30)
        answers = [await sign_in(app, bob.email, bob.password) for _ in range(5)]
    finally:
        await own_redis.restart()

    assert statuses(answers) == [200] * 5
