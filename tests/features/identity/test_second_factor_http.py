"""The second factor as a client meets it: added, asked for at every door, and removed with both factors only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.core.database import Database
from app.core.settings import Environment
from app.features.identity.service import key_form
from tests.features.identity.people import API, Browser, Person, make_person, signed_in
from tests.features.identity.second_factors import Authenticator
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp

PATH = "/auth/second-factor"


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await app_process()


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db, email="ada@people.example")


@pytest.fixture
async def browser(app: AppProcess, db: Database, ada: Person) -> Browser:
    return await signed_in(app, db, ada)


def now() -> datetime:
    return datetime.now(UTC)


def told(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, (answer.json().get("details") or {}).get("second_factor")


async def enrol(browser: Browser, person: Person) -> Authenticator:
    begun = (await browser.post(PATH, {"password": person.password})).json()
    code = Authenticator(begun["secret"]).code(now())
    confirmed = (await browser.post(f"{PATH}/confirm", {"code": code})).json()
    return Authenticator(begun["secret"], tuple(confirmed["recovery_codes"]))


async def test_it_is_added_shown_used_and_removed(app: AppProcess, browser: Browser, ada: Person) -> None:
    none = (await browser.get(PATH)).json()
    begun = await browser.post(PATH, {"password": ada.password})
    waiting = (await browser.get(PATH)).json()
    secret = Authenticator(begun.json()["secret"])
    confirmed = await browser.post(f"{PATH}/confirm", {"code": secret.code(now())})
    codes = confirmed.json()["recovery_codes"]
    entered = await Browser(app).sign_in(ada, code=secret.code(now(), steps=1))
    renewed = await browser.post(f"{PATH}/recovery-codes", {"password": ada.password, "code": codes[0].lower()})
    there = (await browser.get(PATH)).json()
    # A client may send a body with DELETE (RFC 9110, 9.3.5), where the server says that it reads one.
    both = {"password": ada.password, "code": renewed.json()["recovery_codes"][0]}
    removed = await browser.delete(PATH, json=both)
    gone = (await browser.get(PATH)).json()

    assert (begun.status_code, set(begun.json())) == (201, {"secret", "uri"})
    assert begun.json()["uri"].startswith("otpauth://totp/plinth:ada%40people.example?")
    assert (confirmed.status_code, len(codes), len(set(codes))) == (200, 10, 10)
    assert (entered.status_code, entered.json()["user"]["second_factor"]) == (200, True)
    assert (renewed.status_code, removed.status_code) == (200, 204)
    assert {each.headers["cache-control"] for each in (begun, confirmed, renewed)} == {"no-store"}
    assert none == waiting == gone == {"confirmed": False, "recovery_codes_left": 0}
    assert there == {"confirmed": True, "recovery_codes_left": 10}


@pytest.mark.parametrize("door", ["/auth/login", "/auth/token"])
async def test_no_door_leads_past_it(app: AppProcess, browser: Browser, db: Database, ada: Person, door: str) -> None:
    """A check in the route of one door leaves the other open; and the detail must not tell strangers who has one."""
    secret = await enrol(browser, ada)
    right = {"email": ada.email, "password": ada.password}
    stranger = Browser(app)

    without = await stranger.post(door, right)
    empty = await stranger.post(door, {**right, "code": None})
    wrong = await stranger.post(door, {**right, "code": secret.wrong_code(now())})
    guessed = await stranger.post(door, {**right, "password": "not her password"})
    both_wrong = await stranger.post(
        door, {**right, "password": "not her password", "code": secret.code(now(), steps=1)}
    )
    entered = await stranger.post(door, {**right, "code": secret.code(now(), steps=1)})

    refused = (without, empty, wrong, guessed, both_wrong)
    assert list(map(told, refused)) == [(401, "required"), (401, "required"), (401, "wrong"), (401, None), (401, None)]
    assert guessed.json() == both_wrong.json()
    assert not any("set-cookie" in each.headers or "token" in each.text for each in (without, empty, wrong, guessed))
    assert entered.status_code == 200
    made = await db.fetch_val("SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM jwt_tokens)")
    assert made == (2 if door == "/auth/login" else 3), "the browser's own session, and what the last one has opened"


async def test_where_it_is_required_nothing_else_opens_before_it_is_there(
    app_process: StartApp, db: Database, ada: Person
) -> None:
    app = await app_process("session.require_second_factor=true")
    browser = Browser(app)
    entered = await browser.sign_in(ada)
    pair = (await app.http.post(f"{API}/auth/token", json={"email": ada.email, "password": ada.password})).json()
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    doors = ("/sessions", "/api-keys")

    async def with_token(path: str) -> int:
        return (await app.http.get(API + path, headers=bearer)).status_code

    before = [await browser.get(each) for each in doors]
    as_program = [await with_token(each) for each in (*doors, "/auth/me")]
    ticket = await browser.post("/realtime/tickets")
    myself = await browser.get("/auth/me")
    key = await app.http.post(f"{API}/api-keys", headers=bearer, json={"name": "way out", "permissions": []})
    await enrol(browser, ada)
    after = [(await browser.get(each)).status_code for each in doors]

    assert entered.status_code == myself.status_code == 200
    assert [each.status_code for each in before] == [403, 403]
    assert before[0].json()["error"] == "Add a second factor first; until then nothing else is open to you."
    assert as_program == [403, 403, 200]
    assert (ticket.status_code, key.status_code) == (403, 403)
    assert (after, await with_token("/sessions")) == ([200, 200], 200)
    assert await db.fetch_val("SELECT count(*) FROM api_keys") == 0


async def test_removing_needs_the_password_and_a_code(browser: Browser, ada: Person) -> None:
    secret = await enrol(browser, ada)
    code = secret.recovery_codes[0]
    bodies: list[Any] = [
        {"password": "not her password", "code": code},
        {"password": ada.password, "code": secret.wrong_code(now())},
        {"password": ada.password},
        {"code": code},
        {},
    ]

    answers = [(await browser.delete(PATH, json=body)).status_code for body in bodies]
    empty = await browser.delete(PATH)

    assert answers == [403, 400, 400, 400, 400]
    assert empty.status_code in (400, 415)
    assert (await browser.get(PATH)).json()["recovery_codes_left"] == 10


async def test_a_copied_cookie_is_worth_nothing_once_the_password_was_shown_again(
    browser: Browser, ada: Person
) -> None:
    """Somebody has copied it before; the naive answer leaves it as it is."""
    thief = Browser(browser.app)
    cookies = [browser.cookie]

    async def copied(answer: httpx.Response) -> int:
        thief.cookie, thief.csrf_token = cookies[-1], browser.csrf_token
        cookies.append(browser.cookie)
        assert answer.status_code < 300, answer.text
        return (await thief.get("/auth/me")).status_code

    begun = await browser.post(PATH, {"password": ada.password})
    after = [await copied(begun)]
    code = Authenticator(begun.json()["secret"]).code(now())
    confirmed = await browser.post(f"{PATH}/confirm", {"code": code})
    after.append(await copied(confirmed))
    both = {"password": ada.password, "code": confirmed.json()["recovery_codes"][0]}
    renewed = await browser.post(f"{PATH}/recovery-codes", both)
    after.append(await copied(renewed))
    removed = await browser.delete(PATH, json={**both, "code": renewed.json()["recovery_codes"][0]})
    after.append(await copied(removed))

    assert after == [401] * 4
    assert len(set(cookies)) == 5
    assert (await browser.get("/auth/me")).status_code == 200


async def test_another_page_can_neither_add_nor_remove_it(browser: Browser, ada: Person) -> None:
    secret = await enrol(browser, ada)
    token, browser.csrf_token = browser.csrf_token, ""

    body = {"password": ada.password, "code": secret.recovery_codes[0]}
    answers = [await browser.delete(PATH, json=body), await browser.post(f"{PATH}/recovery-codes", body)]

    browser.csrf_token = token
    assert [each.status_code for each in answers] == [403, 403]
    assert (await browser.get(PATH)).json() == {"confirmed": True, "recovery_codes_left": 10}


async def test_the_password_is_needed_to_begin(browser: Browser, db: Database) -> None:
    answer = await browser.post(PATH, {"password": "not her password"})

    assert answer.status_code == 403
    assert await db.fetch_val("SELECT count(*) FROM second_factors") == 0


async def test_no_key_opens_it_whatever_it_may(app: AppProcess, db: Database, ada: Person) -> None:
    key = key_form.make_key(Environment.TESTING)
    await db.execute(
        "INSERT INTO api_keys (name, key_prefix, key_hash, created_by, permissions)"
        " VALUES ('k', :prefix, :hash, :owner, :permissions)",
        {"prefix": key.prefix, "hash": key.hash, "owner": ada.id, "permissions": ["profile:read", "users:write"]},
    )
    headers = {"Authorization": f"Bearer {key.text}"}

    known = await app.http.get(f"{API}/auth/me", headers=headers)
    begun = await app.http.post(f"{API}{PATH}", headers=headers, json={"password": ada.password})
    shown = await app.http.get(f"{API}{PATH}", headers=headers)

    assert (known.status_code, begun.status_code, shown.status_code) == (200, 403, 403)


@pytest.mark.parametrize(
    "body",
    [{"code": 287082}, {"code": "28708"}, {"code": "2" * 65}, {"code": "287082", "user_id": "x"}, []],
    ids=str,
)
async def test_what_is_no_code_is_refused_before_it_is_tried(browser: Browser, body: Any) -> None:
    answer = await browser.ask("POST", f"{PATH}/confirm", json=body)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "code", ["\U0001f600" * 6, "\u0000" * 6, "\u0662\u0668\u0667\u0660\u0668\u0662", "-" * 24, " " * 20]
)
async def test_strange_codes_are_wrong_and_nothing_breaks(browser: Browser, ada: Person, code: str) -> None:
    await enrol(browser, ada)

    answer = await browser.delete(PATH, json={"password": ada.password, "code": code})

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
