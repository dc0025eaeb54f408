"""`/api/v1/users` as administrators use it, and as nobody else can."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import UUID

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.core.database import Database
from app.core.settings import Environment
from app.features.identity.service import key_form
from tests.features.identity.people import API, Browser, Person, make_person, signed_in
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp

NAME_AND_ROLE = "SELECT name, role FROM users WHERE id = :id"
FIELDS = {"id", "email", "name", "role", "is_active", "email_verified", "second_factor", "created_at"}
NOBODY = "01a1ffc9-4125-7647-8cde-b3b859b8fd3a"


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await app_process()


@pytest.fixture
async def root(db: Database) -> Person:
    return await make_person(db, email="root@people.example", role="admin", name="Root")


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db, email="ada@people.example")


@pytest.fixture
async def admin(app: AppProcess, db: Database, root: Person) -> Browser:
    return await signed_in(app, db, root)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def make_key(db: Database, owner: Person, *permissions: str) -> tuple[UUID, str]:
    """A key that was written straight into the table, and its id."""
    fresh = key_form.make_key(Environment.TESTING)
    made = await db.fetch_val(
        "INSERT INTO api_keys (name, key_prefix, key_hash, created_by, permissions)"
        " VALUES ('k', :prefix, :hash, :owner, :permissions) RETURNING id",
        {"prefix": fresh.prefix, "hash": fresh.hash, "owner": owner.id, "permissions": list(permissions)},
    )
    return made, fresh.text


async def events(db: Database, person: Person) -> list[tuple[str, str, str]]:
    rows = await db.fetch_all(
        "SELECT event_type, payload FROM outbox WHERE aggregate_id = :id ORDER BY id", {"id": person.id}
    )
    return [
        (row["event_type"].removeprefix("identity."), row["payload"]["by"], row["payload"]["about"]) for row in rows
    ]


async def open_socket(app: AppProcess, browser: Browser) -> ClientConnection:
    return await connect(
        f"{app.url.replace('http', 'ws')}/ws",
        additional_headers={**browser.sent(), "Origin": app.url},
        proxy=None,
        compression=None,
    )


async def close_code(socket: ClientConnection) -> int | None:
    try:
        async with asyncio.timeout(15):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return socket.close_code


async def test_users_are_listed_page_by_page_newest_first(admin: Browser, db: Database, root: Person) -> None:
    made = [await make_person(db, email=f"p{number}@people.example") for number in range(4)]

    items: list[dict[str, Any]] = []
    cursor = None
    while not items or cursor:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = await admin.get("/users", params=query)
        items += page.json()["items"]
        cursor = page.json()["next_cursor"]
        assert page.headers["cache-control"] == "no-store"

    assert [each["id"] for each in items] == [str(each.id) for each in (*reversed(made), root)]
    assert all(set(each) == FIELDS for each in items)
    assert "argon2" not in str(items)


async def test_the_filter_is_the_beginning_of_an_address_and_no_pattern(admin: Browser, db: Database) -> None:
    await make_person(db, email="ada@people.example")
    await make_person(db, email="a_a@people.example")
    await make_person(db, email="bob@people.example")

    async def found(prefix: str) -> list[str]:
        page = await admin.get("/users", params={"q": prefix})
        assert page.status_code == 200
        return [each["email"].partition("@")[0] for each in page.json()["items"]]

    assert await found("A") == ["a_a", "ada"]
    assert await found(" ada@") == ["ada"]
    assert await found("a_a") == ["a_a"], "in LIKE, _ is any character"
    assert await found("%") == []
    assert await found("da") == []


async def test_one_user_is_shown_and_changed(admin: Browser, db: Database, ada: Person, root: Person) -> None:
    changed = await admin.ask("PATCH", f"/users/{ada.id}", json={"name": "Countess", "role": "admin"})
    nothing = await admin.ask("PATCH", f"/users/{ada.id}", json={})
    shown = await admin.get(f"/users/{ada.id}")

    assert (changed.status_code, nothing.status_code) == (200, 200)
    assert changed.json() == nothing.json() == shown.json()
    assert set(shown.json()) == FIELDS
    assert (shown.json()["name"], shown.json()["role"]) == ("Countess", "admin")
    assert await events(db, ada) == [("user_changed", str(root.id), "name"), ("role_changed", str(root.id), "admin")]


@pytest.mark.parametrize(
    "body",
    [
        {"id": NOBODY},
        {"email": "mallory@people.example"},
        {"email_verified": True},
        {"password_hash": "$argon2id$"},
        {"second_factor": False},
        {"created_at": "2020-01-01T00:00:00Z"},
        {"role": "root"},
        {"role": ["admin"]},
        {"is_active": "false"},
        {"name": ""},
        {"name": "x" * 256},
        {"name": "a\x00b"},
    ],
    ids=str,
)
async def test_nothing_else_of_a_user_can_be_written(
    admin: Browser, db: Database, ada: Person, body: dict[str, Any]
) -> None:
    """Mass assignment: `UPDATE users SET **body` would take most of these."""
    before = dict(await db.fetch_existing("SELECT * FROM users WHERE id = :id", {"id": ada.id}))

    answer = await admin.ask("PATCH", f"/users/{ada.id}", json=body)

    assert told(answer) == (400, "VALIDATION_ERROR")
    assert dict(await db.fetch_existing("SELECT * FROM users WHERE id = :id", {"id": ada.id})) == before


EVERYTHING = (
    ("GET", "/users", None),
    ("GET", "/users/{}", None),
    ("PATCH", "/users/{}", {"role": "admin"}),
    ("GET", "/users/{}/sessions", None),
    ("DELETE", "/users/{}/sessions", None),
    ("GET", "/users/{}/api-keys", None),
    ("DELETE", "/users/{}/api-keys/" + NOBODY, None),
)


async def test_only_administrators_get_in_to_others_and_to_themselves(
    app: AppProcess, db: Database, ada: Person, root: Person
) -> None:
    """IDOR: a check of the id alone would let Ada make herself an administrator."""
    browser, stranger = await signed_in(app, db, ada), Browser(app)
    paths = [(method, path.format(person.id), body) for method, path, body in EVERYTHING for person in (ada, root)]

    as_ada = [told(await browser.ask(method, path, json=body)) for method, path, body in paths]
    as_nobody = [told(await stranger.ask(method, path, json=body)) for method, path, body in paths]

    assert as_ada == [(403, "FORBIDDEN")] * len(paths)
    assert as_nobody == [(401, "UNAUTHORIZED")] * len(paths)
    assert await db.fetch_val("SELECT role FROM users WHERE id = :id", {"id": ada.id}) == "user"


async def test_a_change_needs_the_csrf_token(admin: Browser, db: Database, ada: Person) -> None:
    admin.csrf_token = ""

    answer = await admin.ask("PATCH", f"/users/{ada.id}", json={"role": "admin"})

    assert told(answer) == (403, "FORBIDDEN")
    assert await db.fetch_val("SELECT role FROM users WHERE id = :id", {"id": ada.id}) == "user"


async def test_who_is_not_there_is_not_found(admin: Browser) -> None:
    answers = [
        told(await admin.ask(method, path.format(NOBODY), json=body))
        for method, path, body in EVERYTHING
        if "{}" in path
    ]

    assert answers == [(404, "NOT_FOUND")] * len(answers)


async def test_a_key_opens_what_it_was_given(app: AppProcess, db: Database, root: Person, ada: Person) -> None:
    _, reading = await make_key(db, root, "users:read")
    _, of_user = await make_key(db, ada, "users:read", "users:write")
    _, other = await make_key(db, root, "tasks:read")

    async def ask(key: str, method: str, body: Any = None) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        answer = await app.http.request(method, f"{API}/users/{ada.id}", headers=headers, json=body)
        return answer.status_code

    assert [await ask(reading, "GET"), await ask(reading, "PATCH", {"name": "X"})] == [200, 403]
    assert [await ask(of_user, "GET"), await ask(of_user, "PATCH", {"role": "admin"})] == [403, 403]
    assert await ask(other, "GET") == 403


async def test_a_key_makes_nobody_an_administrator(app: AppProcess, db: Database, root: Person, ada: Person) -> None:
    """Else whoever has the key for a minute has an administrator for ever."""
    _, writing = await make_key(db, root, "users:write")
    sent, path = {"Authorization": f"Bearer {writing}"}, f"{API}/users/{ada.id}"

    renamed = await app.http.patch(path, headers=sent, json={"name": "Countess"})
    promoted = await app.http.patch(path, headers=sent, json={"name": "Root", "role": "admin"})

    assert (renamed.status_code, promoted.status_code) == (200, 403)
    assert promoted.json()["error"] == "An API key gives nobody another role; sign in to do that."
    assert tuple((await db.fetch_existing(NAME_AND_ROLE, {"id": ada.id})).values()) == ("Countess", "user")


async def test_deactivation_ends_everything_at_once_on_every_instance(
    app_process: StartApp, app: AppProcess, admin: Browser, db: Database, ada: Person, root: Person
) -> None:
    other = await app_process()
    here, there = await signed_in(app, db, ada), await signed_in(other, db, ada)
    _, key = await make_key(db, ada, "profile:read")
    pair = (await app.http.post(f"{API}/auth/token", json={"email": ada.email, "password": ada.password})).json()
    bearers = [{"Authorization": f"Bearer {each}"} for each in (key, pair["access_token"])]
    me = f"{other.url}{API}/auth/me"
    before = [(await other.http.get(me, headers=each)).status_code for each in (*bearers, there.sent())]
    sockets = [await open_socket(app, here), await open_socket(other, there)]

    answer = await admin.ask("PATCH", f"/users/{ada.id}", json={"is_active": False})

    after = [(await other.http.get(me, headers=each)).status_code for each in (*bearers, there.sent())]
    refreshed = await other.http.post(f"{API}/auth/token/refresh", json={"refresh_token": pair["refresh_token"]})
    again = await other.http.post(f"{API}/auth/login", json={"email": ada.email, "password": ada.password})
    assert (answer.status_code, answer.json()["is_active"]) == (200, False)
    assert before == [200] * 3
    assert after == [401] * 3
    assert await asyncio.gather(*map(close_code, sockets)) == [1008, 1008]
    assert (refreshed.status_code // 100, again.status_code) == (4, 401)
    assert ("user_deactivated", str(root.id), "") in await events(db, ada)


async def test_signing_somebody_out_leaves_their_keys(
    app: AppProcess, admin: Browser, db: Database, ada: Person, root: Person
) -> None:
    browser = await signed_in(app, db, ada)
    key_id, key = await make_key(db, ada, "profile:read")
    listed = (await admin.get(f"/users/{ada.id}/sessions")).json()["items"]

    answer = await admin.delete(f"/users/{ada.id}/sessions")

    by_key = await app.http.get(f"{API}/auth/me", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, len(listed), listed[0]["current"]) == (204, 1, False)
    assert "csrf" not in str(listed)
    assert ((await browser.get("/auth/me")).status_code, by_key.status_code) == (401, 200)
    assert (await admin.get(f"/users/{ada.id}/sessions")).json()["items"] == []
    assert [each["id"] for each in (await admin.get(f"/users/{ada.id}/api-keys")).json()["items"]] == [str(key_id)]
    assert ("sessions_revoked", str(root.id), "all") in await events(db, ada)


async def test_a_key_is_revoked_by_its_owner_s_address_only(
    app: AppProcess, admin: Browser, db: Database, ada: Person, root: Person
) -> None:
    key_id, key = await make_key(db, ada, "profile:read")

    wrong = await admin.delete(f"/users/{root.id}/api-keys/{key_id}")
    before = await app.http.get(f"{API}/auth/me", headers={"Authorization": f"Bearer {key}"})
    right = await admin.delete(f"/users/{ada.id}/api-keys/{key_id}")
    after = await app.http.get(f"{API}/auth/me", headers={"Authorization": f"Bearer {key}"})

    listed = (await admin.get(f"/users/{ada.id}/api-keys")).text
    assert (told(wrong), before.status_code) == ((404, "NOT_FOUND"), 200)
    assert (right.status_code, after.status_code) == (204, 401)
    assert key not in listed
    assert hashlib.sha256(key.encode()).hexdigest() not in listed


async def test_a_role_holds_from_the_next_request_on_and_closes_sockets(
    app: AppProcess, admin: Browser, db: Database
) -> None:
    other = await make_person(db, role="admin")
    browser = await signed_in(app, db, other)
    socket = await open_socket(app, browser)
    before = await browser.get("/users")

    await admin.ask("PATCH", f"/users/{other.id}", json={"role": "user"})

    assert (before.status_code, (await browser.get("/users")).status_code) == (200, 403)
    assert await close_code(socket) == 1008


@pytest.mark.parametrize("change", [{"role": "user"}, {"is_active": False}])
async def test_the_last_administrator_stays_one(
    admin: Browser, db: Database, root: Person, change: dict[str, Any]
) -> None:
    await make_person(db, role="admin", active=False)

    answer = await admin.ask("PATCH", f"/users/{root.id}", json=change)

    assert told(answer) == (409, "CONFLICT")
    assert "last administrator" in answer.json()["error"]
    assert (await admin.get("/auth/me")).status_code == 200


async def test_an_administrator_renames_themselves_although_they_are_the_last(admin: Browser, root: Person) -> None:
    answer = await admin.ask("PATCH", f"/users/{root.id}", json={"name": "R", "role": "admin", "is_active": True})

    assert (answer.status_code, answer.json()["name"]) == (200, "R")


async def test_what_nobody_has_asked_for_is_not_written_down(admin: Browser, db: Database, ada: Person) -> None:
    await admin.ask("PATCH", f"/users/{ada.id}", json={"name": ada.name, "role": "user", "is_active": True})

    assert await events(db, ada) == []
