"""Signing in and out with a browser, and what its session is from then on."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from argon2 import PasswordHasher

from app.core.database import Database
from tests.features.identity.people import COOKIE, Browser, Person, make_person, session_of, signed_in
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp

NOBODY = "01a1ffc9-4125-7647-8cde-b3b859b8fd3a"


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await app_process()


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db, email="ada@people.example")


async def events(db: Database, person: Person) -> list[tuple[str, dict[str, Any]]]:
    rows = await db.fetch_all(
        "SELECT event_type, payload FROM outbox WHERE aggregate_id = :id ORDER BY id", {"id": person.id}
    )
    return [(row["event_type"].removeprefix("identity."), row["payload"]) for row in rows]


async def count_of(db: Database, person: Person) -> int:
    found = await db.fetch_val("SELECT count(*) FROM sessions WHERE user_id = :id", {"id": person.id})
    return int(found)


async def test_a_person_signs_in_sees_who_they_are_and_signs_out(app: AppProcess, db: Database, ada: Person) -> None:
    browser = Browser(app)

    answer = await browser.post("/auth/login", {"email": " Ada@People.Example ", "password": ada.password})
    first = dict(vars(browser))
    me = await browser.get("/auth/me")
    session = await session_of(db, browser)
    out = await browser.post("/auth/logout")
    browser.cookie = first["cookie"]
    after = await browser.get("/auth/me")

    user = answer.json()["user"]
    assert (answer.status_code, user["id"], user["email"]) == (200, str(ada.id), ada.email)
    assert set(user) == {
        *("id", "email", "name", "role", "is_active", "email_verified", "second_factor", "created_at"),
    }
    assert set(answer.json()) == {"user", "csrf_token"}
    assert answer.headers["set-cookie"] == (
        f"{COOKIE}={first['cookie']}; Max-Age=604800; Secure; HttpOnly; Path=/; SameSite=Lax"
    )
    assert {each.headers["cache-control"] for each in (answer, me, out)} == {"no-store"}
    assert me.json() == {"user": user, "csrf_token": first["csrf_token"], "credential": "session"}
    assert (out.status_code, out.content, out.headers["clear-site-data"]) == (204, b"", '"storage"')
    assert out.headers["set-cookie"].startswith(f"{COOKIE}=; Max-Age=0; Secure; HttpOnly; Path=/")
    assert (after.status_code, await count_of(db, ada)) == (401, 0)
    assert await events(db, ada) == [
        (name, {"user_id": str(ada.id), "by": str(ada.id), "address": "127.0.0.1", "about": str(session)})
        for name in ("signed_in", "signed_out")
    ]


async def test_the_table_holds_no_cookie(app: AppProcess, db: Database, ada: Person) -> None:
    browser = Browser(app)
    await browser.sign_in(ada)
    row = await db.fetch_one("SELECT * FROM sessions WHERE user_id = :id", {"id": ada.id})
    assert row is not None
    thief = Browser(app)

    found = []
    for stolen in (row["token_hash"].hex(), str(row["id"]), row["csrf_token"], _base64(row["token_hash"])):
        thief.cookie = stolen
        found.append((await thief.get("/auth/me")).status_code)

    assert found == [401] * 4
    assert row["token_hash"] == hashlib.sha256(browser.cookie.encode()).digest()
    assert browser.cookie not in str(dict(row))
    assert (len(browser.cookie), len(browser.csrf_token)) == (43, 43)
    assert (str(row["ip_address"]), row["user_agent"][:13]) == ("127.0.0.1", "python-httpx/")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("column", ["last_seen_at", "expires_at"])
async def test_a_session_ends_when_it_was_idle_or_is_old(
    app_process: StartApp, db: Database, ada: Person, column: str
) -> None:
    app = await app_process("session.idle_timeout=1000", "session.absolute_timeout=5000")
    browser = Browser(app)
    await browser.sign_in(ada)
    move = f"UPDATE sessions SET {column} = now() - :ago * interval '1 second' RETURNING id"  # noqa: S608
    limit = {"last_seen_at": 1000, "expires_at": 0}[column]

    await db.execute(move, {"ago": limit - 60})
    before = await browser.get("/auth/me")
    await db.execute(move, {"ago": limit})
    after = await browser.get("/auth/me")
    listed = (await (await signed_in(app, db, ada)).get("/sessions")).json()["items"]

    assert (before.status_code, after.status_code) == (200, 401)
    assert [line["current"] for line in listed] == [True]


async def test_the_absolute_end_is_as_the_settings_say(app_process: StartApp, db: Database, ada: Person) -> None:
    app = await app_process("session.absolute_timeout=5000", "session.idle_timeout=5000")
    browser = Browser(app)

    answer = await browser.sign_in(ada)

    left = await db.fetch_val("SELECT extract(epoch FROM expires_at - created_at) FROM sessions")
    assert "Max-Age=5000;" in answer.headers["set-cookie"]
    assert float(left) == 5000


async def test_use_is_noted_once_a_minute(app: AppProcess, db: Database, ada: Person) -> None:
    browser = await signed_in(app, db, ada)
    seen = "SELECT extract(epoch FROM now() - last_seen_at)::float FROM sessions"
    move = "UPDATE sessions SET last_seen_at = now() - :ago * interval '1 second'"

    await db.execute(move, {"ago": 30})
    await browser.get("/auth/me")
    young = await db.fetch_val(seen)
    await db.execute(move, {"ago": 61})
    await browser.get("/auth/me")
    moved = await db.fetch_val(seen)

    assert young >= 30
    assert moved < 30


async def test_who_is_noting_it_holds_nobody_up(app: AppProcess, db: Database, ada: Person) -> None:
    browser = await signed_in(app, db, ada)
    await db.execute("UPDATE sessions SET last_seen_at = now() - interval '2 minutes'")

    async with db.transaction():
        await db.execute("SELECT id FROM sessions FOR UPDATE")  # another request of this browser, which is slow
        answer = await browser.get("/auth/me")
        noted = await db.fetch_val("SELECT last_seen_at > now() - interval '1 minute' FROM sessions")

    assert (answer.status_code, noted) == (200, False)


async def test_the_sign_in_beyond_the_most_ends_the_idlest(app_process: StartApp, db: Database, ada: Person) -> None:
    app = await app_process("session.max_per_user=3")
    browsers = [await signed_in(app, db, ada) for _ in range(3)]
    idlest = await session_of(db, browsers[1])
    await db.execute("UPDATE sessions SET last_seen_at = now() - interval '5 s' WHERE id = :id", {"id": idlest})
    stranger = await signed_in(app, db, await make_person(db))
    fourth = Browser(app)

    await fourth.sign_in(ada)

    found = [(await each.get("/auth/me")).status_code for each in (*browsers, fourth, stranger)]
    assert found == [200, 401, 200, 200, 200]
    assert ("session_revoked", str(idlest)) in [(name, act["about"]) for name, act in await events(db, ada)]


async def test_sessions_are_listed_page_by_page_and_revoked(app: AppProcess, db: Database, ada: Person) -> None:
    browsers = [await signed_in(app, db, ada) for _ in range(3)]
    await signed_in(app, db, await make_person(db))
    ids = [str(await session_of(db, each)) for each in browsers]

    first = (await browsers[1].get("/sessions", params={"limit": 2})).json()
    rest = (await browsers[1].get("/sessions", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    revoked = await browsers[1].delete(f"/sessions/{ids[0]}")
    again = await browsers[1].delete(f"/sessions/{ids[0]}")
    nobodys = await browsers[1].delete(f"/sessions/{NOBODY}")
    left = [(await each.get("/auth/me")).status_code for each in browsers]
    own = await browsers[1].delete(f"/sessions/{ids[1]}")

    lines = first["items"] + rest["items"]
    assert [line["id"] for line in lines] == ids[::-1]
    assert [line["current"] for line in lines] == [False, True, False]
    assert set(lines[0]) == {"id", "created_at", "last_seen_at", "expires_at", "address", "agent", "current"}
    assert (lines[0]["address"], lines[0]["agent"], rest["next_cursor"]) == ("127.0.0.1", "a browser", None)
    assert [each.status_code for each in (revoked, again, nobodys)] == [204, 404, 404]
    assert left == [401, 200, 200]
    assert (own.status_code, "Max-Age=0" in own.headers["set-cookie"]) == (204, True)


async def test_all_other_sessions_are_revoked_at_once(app: AppProcess, db: Database, ada: Person) -> None:
    browsers = [await signed_in(app, db, ada) for _ in range(3)]
    stranger = await signed_in(app, db, await make_person(db))

    answer = await browsers[2].delete("/sessions")

    found = [(await each.get("/auth/me")).status_code for each in (*browsers, stranger)]
    assert (answer.status_code, found) == (204, [401, 401, 200, 200])
    assert [name for name, _ in await events(db, ada)] == ["sessions_revoked"]


async def test_a_password_is_changed_and_everything_else_ends(app: AppProcess, db: Database, ada: Person) -> None:
    browser, other = await signed_in(app, db, ada), await signed_in(app, db, ada)
    copied = Browser(app)
    copied.cookie, copied.csrf_token = browser.cookie, browser.csrf_token
    session = await session_of(db, browser)
    new = "another four walruses whistle 58"

    answer = await browser.post("/auth/password", {"current": ada.password, "new": new})

    found = [(await each.get("/auth/me")).status_code for each in (browser, other, copied)]
    with_old = await Browser(app).sign_in(ada)
    with_new = await Browser(app).post("/auth/login", {"email": ada.email, "password": new})
    csrf_token = answer.json()["csrf_token"]
    revoked = await browser.delete("/sessions")
    assert (answer.status_code, list(answer.json()), found) == (200, ["csrf_token"], [200, 401, 401])
    assert csrf_token == browser.csrf_token != copied.csrf_token
    assert browser.cookie != copied.cookie
    assert (with_old.status_code, with_new.status_code, revoked.status_code) == (401, 200, 204)
    assert await session_of(db, browser) == session
    assert "password_changed" in [name for name, _ in await events(db, ada)]
    asked = await db.fetch_all("SELECT task_type, payload FROM tasks WHERE task_type LIKE 'identity.%'")
    assert [row["payload"]["about"] for row in asked] == ["password_changed"]


@pytest.mark.parametrize(
    ("current", "new", "status"),
    [
        ("wrong and wrong and wrong", "another four walruses whistle 58", 403),
        ("", "password1234", 400),
        ("", "short", 400),
        ("", "ä" * 513, 400),
    ],
    ids=["wrong", "guessable", "short", "long"],
)
async def test_a_password_is_not_changed(
    app: AppProcess, db: Database, ada: Person, current: str, new: str, status: int
) -> None:
    browser, other = await signed_in(app, db, ada), await signed_in(app, db, ada)

    answer = await browser.post("/auth/password", {"current": current or ada.password, "new": new})

    found = [(await each.get("/auth/me")).status_code for each in (browser, other)]
    assert (answer.status_code, found) == (status, [200, 200])
    assert (await Browser(app).sign_in(ada)).status_code == 200


async def test_a_program_changes_the_password_and_is_signed_out_too(app: AppProcess, ada: Person) -> None:
    given = (await app.http.post("/api/v1/auth/token", json={"email": ada.email, "password": ada.password})).json()
    app.http.headers["Authorization"] = f"Bearer {given['access_token']}"
    body = {"current": ada.password, "new": "another four walruses whistle 58"}

    me = await app.http.get("/api/v1/auth/me")
    out = await app.http.post("/api/v1/auth/logout")
    answer = await app.http.post("/api/v1/auth/password", json=body)
    after = await app.http.get("/api/v1/auth/me")

    assert (me.json()["csrf_token"], me.json()["credential"]) == (None, "token")
    assert (out.status_code, answer.status_code, answer.json()) == (403, 200, {"csrf_token": None})
    assert after.status_code == 401


async def test_an_old_hash_is_made_anew_at_sign_in(app: AppProcess, db: Database, ada: Person) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(ada.password)
    await db.execute("UPDATE users SET password_hash = :weak", {"weak": weak})

    first = await Browser(app).sign_in(ada)
    new = await db.fetch_val("SELECT password_hash FROM users")
    second = await Browser(app).sign_in(ada)

    assert (first.status_code, second.status_code) == (200, 200)
    assert new.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await db.fetch_val("SELECT password_hash FROM users") == new
