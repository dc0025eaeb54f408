"""What is done to sessions and their cookies by those who have no right to them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.core.database import Database
from tests.features.identity.people import COOKIE, PATIENT, Browser, Person, make_person, session_of, signed_in
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp

AT_ONCE = 1.0  # seconds: what the issue promises for a revocation, on every instance
NEW = "another four walruses whistle 58"


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await app_process()


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db, email="ada@people.example")


@pytest.fixture
async def mallory(db: Database) -> Person:
    return await make_person(db, email="mallory@people.example")


async def socket_of(app: AppProcess, headers: dict[str, str]) -> ClientConnection:
    """A handshake as a browser sends it: with the cookie and the origin of the page, and nothing of ours."""
    url = f"{app.url.replace('http', 'ws')}/ws"
    return await connect(url, additional_headers=headers, proxy=None, compression=None)


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    try:
        async with asyncio.timeout(15):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return socket.close_code, socket.close_reason


# Session fixation: a server that keeps the id that a browser comes with signs the attacker in beside the victim.


async def test_a_cookie_that_was_planted_before_sign_in_is_worth_nothing_after_it(app: AppProcess, ada: Person) -> None:
    planted = Browser(app)
    planted.cookie = "A" * 43
    victim = Browser(app)
    victim.cookie = planted.cookie

    answer = await victim.sign_in(ada)

    assert answer.status_code == 200
    assert victim.cookie != "A" * 43
    assert (await victim.get("/auth/me")).status_code == 200
    planted.cookie = "A" * 43
    assert (await planted.get("/auth/me")).status_code == 401


async def test_a_session_that_was_planted_before_sign_in_ends_with_it(
    app: AppProcess, db: Database, ada: Person, mallory: Person
) -> None:
    attacker = await signed_in(app, db, mallory)
    victim = Browser(app)
    victim.cookie = attacker.cookie  # of the attacker's own, real session

    await victim.sign_in(ada)

    whose = (await victim.get("/auth/me")).json()["user"]["email"]
    assert whose == ada.email
    assert (await attacker.get("/auth/me")).status_code == 401


async def test_each_sign_in_has_a_new_cookie_and_ends_the_former_one(
    app: AppProcess, db: Database, ada: Person
) -> None:
    browser = Browser(app)
    await browser.sign_in(ada)
    former, its_id = Browser(app), await session_of(db, browser)
    former.cookie = browser.cookie

    await browser.sign_in(ada)

    assert browser.cookie != former.cookie
    assert await session_of(db, browser) != its_id
    assert (await former.get("/auth/me")).status_code == 401


async def test_a_cookie_that_was_copied_before_a_password_change_is_worth_nothing_after_it(
    app: AppProcess, db: Database, ada: Person
) -> None:
    browser, thief = await signed_in(app, db, ada), Browser(app)
    thief.cookie = browser.cookie

    answer = await browser.post("/auth/password", {"current": ada.password, "new": NEW})

    assert answer.status_code == 200
    assert [(await each.get("/auth/me")).status_code for each in (browser, thief)] == [200, 401]


# CSRF: a server that looks at the cookie alone does what any page on the web asks for.

FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
FORGED: dict[str, dict[str, str | None]] = {
    "no token": {"X-CSRF-Token": None},
    "an empty token": {"X-CSRF-Token": ""},
    "token of no ASCII": {"X-CSRF-Token": "\xe4" * 43},
    "foreign origin with the right token": {"Origin": "https://evil.example"},
    "opaque origin with the right token": {"Origin": "null"},
    "our host by another scheme": {"Origin": "https://{host}"},
    "another port of our host": {"Origin": "http://127.0.0.1:1"},
    "our origin as a prefix": {"Host": "app.example", "Origin": "http://app.example.evil.example"},
    "cross-site with the right token": {"Sec-Fetch-Site": "cross-site"},
    "same-site of no listed origin": {"Sec-Fetch-Site": "same-site"},
    "a word that no browser says": {"Sec-Fetch-Site": "whatever"},
    "cross-site alone": {"Origin": None, "Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_request_changes_nothing(
    app: AppProcess, db: Database, ada: Person, forged: dict[str, str | None]
) -> None:
    browser, other = await signed_in(app, db, ada), await signed_in(app, db, ada)
    host = app.url.partition("://")[2]
    headers = browser.sent() | {"Host": host}
    for name, value in forged.items():
        headers.pop(name, None)
        if value is not None:
            headers[name] = value.format(host=host)

    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = await app.http.delete("/api/v1/sessions", headers=raw)

    told = answer.json()
    assert (answer.status_code, told["code"], "X-CSRF-Token" in told["error"]) == (403, "FORBIDDEN", True)
    assert (await other.get("/auth/me")).status_code == 200
    assert (await browser.delete("/sessions")).status_code == 204  # what it would have done


async def test_the_token_of_another_session_does_not_do(
    app: AppProcess, db: Database, ada: Person, mallory: Person
) -> None:
    browser, second = await signed_in(app, db, ada), await signed_in(app, db, ada)
    attacker = await signed_in(app, db, mallory)

    found = []
    for token in (attacker.csrf_token, second.csrf_token, f"{browser.csrf_token}, {attacker.csrf_token}"):
        answer = await browser.post("/auth/logout", headers={"X-CSRF-Token": token})
        found.append(answer.status_code)

    assert found == [403, 403, 403]
    assert (await browser.post("/auth/logout")).status_code == 204


async def test_a_form_changes_nothing(app: AppProcess, db: Database, ada: Person) -> None:
    browser = await signed_in(app, db, ada)
    text = f'{{"current": "{ada.password}", "new": "{NEW}"}}'

    found = []
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        answer = await browser.post("/auth/password", content=text, headers={"Content-Type": kind})
        found.append(answer.status_code)
    json = await browser.post("/auth/password", content=text, headers={"Content-Type": "application/json"})

    assert found == [415, 415, 415]
    assert json.status_code == 200


async def test_pages_of_listed_origins_may_change_things(app_process: StartApp, db: Database, ada: Person) -> None:
    app = await app_process("server.cors_origins=https://front.example.org")
    browser = await signed_in(app, db, ada)
    listed = {"Origin": "https://front.example.org", "Sec-Fetch-Site": "same-site"}

    without = await browser.delete("/sessions", headers=listed | {"X-CSRF-Token": ""})
    answer = await browser.delete("/sessions", headers=listed)
    neighbour = await browser.delete("/sessions", headers=listed | {"Origin": "https://other.example.org"})
    far = await browser.delete("/sessions", headers=listed | {"Sec-Fetch-Site": "cross-site"})

    assert [each.status_code for each in (without, answer, neighbour, far)] == [403, 204, 403, 403]


async def test_reading_needs_no_token_and_another_site_reads_nothing(
    app: AppProcess, db: Database, ada: Person
) -> None:
    browser = await signed_in(app, db, ada)

    own = await browser.get("/auth/me", headers={"X-CSRF-Token": ""})
    foreign = await browser.get("/auth/me", headers=FOREIGN)

    assert own.status_code == 200
    assert "access-control-allow-origin" not in foreign.headers


# A bearer token is never sent by itself, so nothing has to be shown with it; the cookie beside it is not looked at.


async def test_a_header_authorization_speaks_alone(app: AppProcess, db: Database, ada: Person) -> None:
    browser = await signed_in(app, db, ada)

    answer = await browser.get("/auth/me", headers={"Authorization": "Bearer nonsense"})

    assert answer.status_code == 401


# Login CSRF: a page that signs its visitor in as somebody else reads what they write there.


@pytest.mark.parametrize(
    "headers",
    [FOREIGN, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=["foreign", "opaque", "cross-site", "same-site"],
)
async def test_no_other_site_signs_its_visitor_in(app: AppProcess, mallory: Person, headers: dict[str, str]) -> None:
    credentials = {"email": mallory.email, "password": mallory.password}

    answer = await app.http.post("/api/v1/auth/login", json=credentials, headers=headers)
    form = await app.http.post("/api/v1/auth/login", data=credentials)
    plain = await app.http.post("/api/v1/auth/login", json=credentials)

    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
    assert (form.status_code, form.headers.get("set-cookie")) == (415, None)
    assert plain.status_code == 200


# Cross-site WebSocket hijacking: no CORS stops a handshake, which carries its victim's cookie from any page.


async def test_a_page_of_another_site_opens_no_socket(app: AppProcess, db: Database, ada: Person) -> None:
    browser = await signed_in(app, db, ada)
    cookie = {"Cookie": f"{COOKIE}={browser.cookie}"}

    refused = []
    for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        with pytest.raises(InvalidStatus) as trouble:
            await socket_of(app, cookie | origin)
        refused.append(trouble.value.response.status_code)
    own = await socket_of(app, cookie | {"Origin": app.url})

    assert refused == [403, 403, 403]
    assert str(ada.id) in str(await own.recv())
    await own.close()


# Revocation: a server that trusts what it remembers lets a revoked session in for as long as it does.


async def ways_out(browser: Browser, db: Database, user: Person, way: str) -> None:
    """Each of them ends this browser's session, without a word to any other instance but through ours."""
    if way == "sign out":
        answer = await browser.post("/auth/logout")
    elif way == "revoke":
        answer = await browser.delete(f"/sessions/{await session_of(db, browser)}")
    else:
        elsewhere = await signed_in(browser.app, db, user)
        asks: dict[str, Any] = {
            "revoke others": ("DELETE", "/sessions", {}),
            "password": ("POST", "/auth/password", {"json": {"current": user.password, "new": NEW}}),
        }
        method, path, options = asks[way]
        answer = await elsewhere.ask(method, path, **options)
    assert answer.status_code in {200, 204}, answer.text


@pytest.mark.alone
@pytest.mark.parametrize("way", ["sign out", "revoke", "revoke others", "password"])
async def test_a_revoked_session_is_refused_on_every_instance_within_a_second(
    app_process: StartApp, db: Database, ada: Person, way: str
) -> None:
    here, there = await asyncio.gather(app_process(PATIENT), app_process("websocket.review_interval=3600", PATIENT))
    browser, far = await signed_in(here, db, ada), Browser(there)
    far.cookie = browser.cookie
    socket = await socket_of(there, {"Cookie": f"{COOKIE}={browser.cookie}", "Origin": there.url})
    before = await far.get("/auth/me")
    stays = await signed_in(there, db, await make_person(db))
    socket_that_stays = await socket_of(there, {"Cookie": f"{COOKIE}={stays.cookie}", "Origin": there.url})

    await ways_out(browser, db, ada, way)
    ended = time.monotonic()
    after = await far.get("/auth/me")
    end = await closed(socket)
    took = time.monotonic() - ended

    assert (before.status_code, after.status_code) == (200, 401)
    assert end == (1008, "signed out")
    assert took < AT_ONCE
    assert (await stays.get("/auth/me")).status_code == 200
    assert (await socket_that_stays.ping()) is not None
    await socket_that_stays.close()


async def test_the_session_of_somebody_inactive_is_over(app: AppProcess, db: Database, ada: Person) -> None:
    browser = await signed_in(app, db, ada)
    before = await browser.get("/auth/me")

    await db.execute("UPDATE users SET is_active = false WHERE id = :id", {"id": ada.id})

    assert (before.status_code, (await browser.get("/auth/me")).status_code) == (200, 401)


async def test_sockets_end_with_a_session_that_ends_by_itself(app_process: StartApp, db: Database, ada: Person) -> None:
    app = await app_process("websocket.review_interval=1", "session.idle_timeout=1000")
    browser, used = await signed_in(app, db, ada), await signed_in(app, db, ada)
    sockets = [
        await socket_of(app, {"Cookie": f"{COOKIE}={each.cookie}", "Origin": app.url}) for each in (browser, used)
    ]

    await db.execute(
        "UPDATE sessions SET last_seen_at = now() - interval '1001 s' WHERE id = :id",
        {"id": await session_of(db, browser)},
    )

    assert await closed(sockets[0]) == (1008, "signed out")
    await (await sockets[1].ping())
    await sockets[1].close()


# IDOR: a server that finds the row by the id of the path alone signs others out.


async def test_the_session_of_another_user_is_not_there(
    app: AppProcess, db: Database, ada: Person, mallory: Person
) -> None:
    victim, attacker = await signed_in(app, db, ada), await signed_in(app, db, mallory)
    its_id = await session_of(db, victim)

    theirs = await attacker.delete(f"/sessions/{its_id}")
    nobodys = await attacker.delete("/sessions/01a1ffc9-4125-7647-8cde-b3b859b8fd3a")

    assert theirs.status_code == nobodys.status_code == 404
    assert {**theirs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}
    assert (await victim.get("/auth/me")).status_code == 200
    assert str(its_id) not in (await attacker.get("/sessions")).text


# What comes as a cookie.


async def test_two_cookies_of_the_name_are_no_cookie(
    app: AppProcess, db: Database, ada: Person, mallory: Person
) -> None:
    victim, attacker = await signed_in(app, db, ada), await signed_in(app, db, mallory)
    own, other = f"{COOKIE}={victim.cookie}", f"{COOKIE}={attacker.cookie}"

    sent = (f"{own}; {other}", f"{other}; {own}", f"{own}; {own}", f"theme=dark; {own}")
    found = [(await app.http.get("/api/v1/auth/me", headers={"Cookie": each})).status_code for each in sent]

    assert found == [401, 401, 200, 200]


async def test_no_cookie_is_a_fault_of_the_server(app: AppProcess) -> None:
    loop = asyncio.get_running_loop()
    sent: list[int] = []

    async def ask(value: bytes) -> None:
        head = {b"Cookie": COOKIE.encode() + b"=" + value}
        answers = [
            await app.http.get("/api/v1/auth/me", headers=head),
            await app.http.post("/api/v1/auth/login", json={"email": "nobody@people.example"}, headers=head),
        ]
        sent.extend(answer.status_code for answer in answers)

    byte = strategies.integers(0x20, 0xFF).filter(lambda each: each != 0x7F)
    text = strategies.one_of(
        strategies.lists(byte, max_size=200).map(bytes),
        strategies.text('abcXYZ019-_=%;,"\\ ', max_size=80).map(str.encode),
        strategies.from_regex(rb"[A-Za-z0-9_-]{43}", fullmatch=True),
    )

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(text)
    def no_cookie_breaks_it(value: bytes) -> None:
        asyncio.run_coroutine_threadsafe(ask(value.strip()), loop).result(30)

    await asyncio.to_thread(no_cookie_breaks_it)

    assert len(sent) > 100
    assert set(sent) <= {400, 401}, set(sent)
