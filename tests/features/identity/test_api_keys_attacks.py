"""What somebody with an API key, or without one, may try; over real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.core.database import Database
from app.core.ids import new_id
from app.core.settings import Environment
from app.features.identity.service.key_form import hash_of, make_key
from tests.features.identity.keys import give_key
from tests.features.identity.people import API, PATIENT, Browser, Person, make_person, signed_in
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually

TICKETS = f"{API}/realtime/tickets"
Operation = tuple[str, str, str | None]  # method, path, the permission that opens it to a key


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    return await app_process("rate_limit.enabled=false", PATIENT)


@pytest.fixture
async def root(db: Database) -> Person:
    return await make_person(db, role="admin")


async def operations(app: AppProcess) -> list[Operation]:
    """All that ask who calls, as the server itself describes them."""
    document = (await app.http.get("/openapi.json")).json()
    return [
        (method.upper(), path, _permission(operation["security"]))
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "security" in operation
    ]


def _permission(ways: list[dict[str, list[str]]]) -> str | None:
    return next((way["apiKey"][0] for way in ways if "apiKey" in way), None)


def an_address(path: str) -> str:
    parts = (str(new_id()) if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts)


async def test_a_key_of_another_scope_is_refused_by_the_name_of_what_it_lacks(
    app: AppProcess, db: Database, root: Person
) -> None:
    """Whoever looks at the role of the key's owner alone lets it through: the owner may do it, as the control shows."""
    key, browser = await give_key(db, root, "tasks:read"), await signed_in(app, db, root)
    path = f"{API}/tasks?status=dead"

    within = await app.http.get(f"{API}/tasks", headers=key.bearer)
    beyond = await app.http.delete(path, headers=key.bearer)
    as_owner = await browser.delete("/tasks?status=dead")

    assert within.status_code == 200
    assert (beyond.status_code, beyond.json()["code"]) == (403, "FORBIDDEN")
    assert "tasks:write" in beyond.json()["error"]
    assert as_owner.status_code == 200


async def test_no_key_opens_what_is_for_people(app: AppProcess, db: Database, root: Person) -> None:
    """An administrator's key with every permission there is: with it one could change the password, or make keys."""
    known = await operations(app)
    key = await give_key(db, root, *{permission for _, _, permission in known if permission})
    for_people = [(method, path) for method, path, permission in known if permission is None]

    told = {
        (method, path): (await app.http.request(method, an_address(path), headers=key.bearer)).status_code
        for method, path in for_people
    }

    assert {
        ("GET", f"{API}/api-keys"),
        ("POST", f"{API}/api-keys"),
        ("POST", f"{API}/api-keys/{{key_id}}/rotate"),
        ("DELETE", f"{API}/api-keys/{{key_id}}"),
        ("POST", f"{API}/auth/password"),
    } <= told.keys()
    assert any("/sessions" in path for _, path in told)
    assert any("/second-factor" in path for _, path in told)
    assert set(told.values()) == {403}, told


async def test_a_key_with_every_permission_opens_all_that_asks_for_one(
    app: AppProcess, db: Database, root: Person
) -> None:
    """The control of the two beside it: what they are refused is there."""
    known = [each for each in await operations(app) if each[2]]
    key = await give_key(db, root, *{permission for _, _, permission in known})

    told = {
        (method, path): (await app.http.request(method, an_address(path), headers=key.bearer)).status_code
        for method, path, _ in known
    }

    assert len(told) > 8
    assert not {401, 403} & set(told.values()), told
    assert all(status < 500 for status in told.values()), told


async def test_a_key_without_permissions_opens_nothing(app: AppProcess, db: Database, root: Person) -> None:
    key = await give_key(db, root)

    told = {
        (method, path): (await app.http.request(method, an_address(path), headers=key.bearer)).status_code
        for method, path, _ in await operations(app)
    }

    assert set(told.values()) == {403}, told


async def test_the_key_of_somebody_who_was_an_administrator_opens_no_more_than_they_may(
    app: AppProcess, db: Database, root: Person
) -> None:
    """A role that is copied into the key, or remembered from its first use, outlives the demotion."""
    key = await give_key(db, root, "tasks:read", "realtime:connect")
    before = await app.http.get(f"{API}/tasks", headers=key.bearer)

    await db.execute("UPDATE users SET role = 'user' WHERE id = :id", {"id": root.id})
    after = await app.http.get(f"{API}/tasks", headers=key.bearer)
    own = await app.http.post(TICKETS, headers=key.bearer)

    assert (before.status_code, after.status_code, own.status_code) == (200, 403, 201)


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE users SET is_active = false",
        "UPDATE api_keys SET revoked_at = now()",
        "UPDATE api_keys SET expires_at = now()",
        "DELETE FROM api_keys",
        "DELETE FROM users",
    ],
)
async def test_a_key_that_is_over_is_refused_by_the_next_request(
    app: AppProcess, db: Database, root: Person, end: str
) -> None:
    """A cache of known keys would take it a while longer."""
    key = await give_key(db, root, "tasks:read")
    before = await app.http.get(f"{API}/tasks", headers=key.bearer)

    await db.execute(end)
    after = await app.http.get(f"{API}/tasks", headers=key.bearer)

    assert (before.status_code, after.status_code) == (200, 401)


async def test_all_keys_that_do_not_hold_are_told_the_same(app: AppProcess, db: Database, root: Person) -> None:
    """Otherwise whoever finds an old key learns that it was one."""
    idle = await make_person(db, active=False)
    keys = [
        (await give_key(db, root, "tasks:read", ends_in=-1)).text,
        (await give_key(db, idle, "realtime:connect")).text,
        make_key(Environment.TESTING).text,
        "pk_test_no",
    ]

    answers = [await app.http.get(f"{API}/tasks", headers={"Authorization": f"Bearer {key}"}) for key in keys]

    assert {(each.status_code, each.text) for each in answers} == {(401, answers[0].text)}


async def test_what_the_table_holds_opens_nothing(app: AppProcess, db: Database, root: Person) -> None:
    """Who reads a backup has the hashes; where keys were stored as they are, this would open everything."""
    key = await give_key(db, root, "tasks:read")
    row = await db.fetch_existing("SELECT key_hash, key_prefix FROM api_keys")
    stored = row["key_hash"]

    found = (
        stored.hex(),
        base64.b64encode(stored).decode(),
        base64.urlsafe_b64encode(stored).decode().rstrip("="),
        f"{row['key_prefix']}_{stored.hex()[:49]}",
        row["key_prefix"],
        str(key.id),
    )
    told = [await app.http.get(f"{API}/tasks", headers={"Authorization": f"Bearer {each}"}) for each in found]

    assert stored == hash_of(key.text)
    assert [each.status_code for each in told] == [401] * len(found)


def _wrong_places(key: str) -> Iterator[dict[str, Any]]:
    for name in ("api_key", "key", "token", "access_token", "Authorization"):
        yield {"params": {name: key}}
        yield {"headers": {"Cookie": f"{name}={key}"}}
    yield {"headers": {"Cookie": f"__Host-session={key}"}}
    yield {"headers": {"X-API-Key": key}}
    yield {"headers": {"Authorization": key}}
    yield {"headers": {"Authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}}
    yield {"headers": {"Authorization": f"Bearer {key} {key}"}}
    yield {"headers": [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]}


async def test_a_key_counts_in_its_header_and_nowhere_else(app: AppProcess, db: Database, root: Person) -> None:
    """In an address it would end up in the logs of proxies, in a cookie any page could send it."""
    key = await give_key(db, root, "realtime:connect")
    right = await app.http.post(TICKETS, headers=key.bearer)

    answers = [await app.http.post(TICKETS, **place) for place in _wrong_places(key.text)]

    assert right.status_code == 201
    assert {each.status_code for each in answers} <= {400, 401}


async def test_a_key_is_not_helped_by_a_session_that_comes_along(app: AppProcess, db: Database, root: Person) -> None:
    """Who takes the better of two credentials lets a leaked key ride on the browser of an administrator."""
    key, browser = await give_key(db, root, "realtime:connect"), await signed_in(app, db, root)

    alone = await browser.get("/tasks")
    with_key = await browser.get("/tasks", headers=key.bearer)
    with_bad_key = await browser.get("/tasks", headers={"Authorization": "Bearer pk_test_no"})

    assert (alone.status_code, with_key.status_code, with_bad_key.status_code) == (200, 403, 401)


@pytest.mark.parametrize("end", ["revoked_at = now()", "expires_at = now()"])
async def test_a_ticket_opens_nothing_once_its_key_is_over(
    app: AppProcess, db: Database, root: Person, end: str
) -> None:
    """A ticket holds by itself where nobody asks for the key behind it again."""
    key = await give_key(db, root, "realtime:connect")
    tickets = [(await app.http.post(TICKETS, headers=key.bearer)).json()["ticket"] for _ in range(2)]
    address = f"{app.url.replace('http', 'ws')}/ws?ticket="

    async with connect(address + tickets[0], proxy=None) as socket:
        welcome = json.loads(await socket.recv())
    await db.execute(f"UPDATE api_keys SET {end}")  # noqa: S608  (the test's own)
    with pytest.raises(InvalidStatus) as refused:
        await connect(address + tickets[1], proxy=None)

    assert (welcome["type"], welcome["user_id"]) == ("welcome", str(root.id))
    assert refused.value.response.status_code == 401


async def test_the_keys_of_others_are_not_there(app: AppProcess, db: Database, root: Person) -> None:
    """IDOR: a statement that looks for the id alone would revoke and hand out another's key, to administrators, too."""
    ada = await make_person(db)
    key = await give_key(db, ada, "realtime:connect")
    nobodys = new_id()

    for stranger in (await make_person(db), root):
        browser = await signed_in(app, db, stranger)
        theirs = [await _touch(browser, str(key.id)), await _touch(browser, str(nobodys))]
        listed = await browser.get("/api-keys")

        assert theirs[0] == theirs[1]
        assert [status for status, _ in theirs[0]] == [404, 404]
        assert listed.json()["items"] == []
    assert (await app.http.post(TICKETS, headers=key.bearer)).status_code == 201
    assert [status for status, _ in await _touch(await signed_in(app, db, ada), str(key.id))] == [201, 204]


async def _touch(browser: Browser, key_id: str) -> list[tuple[int, str]]:
    answers = [await browser.post(f"/api-keys/{key_id}/rotate", {}), await browser.delete(f"/api-keys/{key_id}")]
    return [(each.status_code, each.text if each.status_code == 404 else "") for each in answers]


ODD = [1, 1.5, None, True, {"tasks:write": "tasks:write"}, ["tasks:write"], [["tasks:write"]], "", "tasks:read", "é\t"]


async def test_odd_permissions_in_the_table_open_nothing_and_break_nothing(
    app: AppProcess, db: Database, root: Person
) -> None:
    """`frozenset(json)` would fail on the first list, with a 500 for every request of this key."""
    key, browser = await give_key(db, root, *ODD), await signed_in(app, db, root)
    await db.execute("UPDATE api_keys SET permissions = permissions || '[1e400]'::jsonb")
    with pytest.raises(TypeError, match="unhashable"):
        frozenset(ODD)

    read = await app.http.get(f"{API}/tasks", headers=key.bearer)
    written = await app.http.delete(f"{API}/tasks?status=dead", headers=key.bearer)
    listed = await browser.get("/api-keys")
    rotated = await browser.post(f"/api-keys/{key.id}/rotate", {})

    assert (read.status_code, written.status_code) == (200, 403)
    assert listed.json()["items"][0]["permissions"] == ["", "tasks:read", "é\t"]
    assert rotated.status_code == 201


async def _places(db: Database, text: str) -> list[str]:
    """The tables of which a row holds it."""
    tables = await db.fetch_all("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = []
    for (name,) in map(tuple, tables):
        statement = f"SELECT count(*) FROM {name} AS one WHERE strpos(CAST(one AS text), :text) > 0"  # noqa: S608
        if await db.fetch_val(statement, {"text": text}):
            found.append(str(name))
    return sorted(found)


async def test_no_key_is_written_down_anywhere(app: AppProcess, db: Database, root: Person) -> None:
    """Not in a log line, an event, a task or a table, however it was sent; its prefix is found, so the search works."""
    browser = await signed_in(app, db, root)
    made = (await browser.post("/api-keys", {"name": "backup", "permissions": ["tasks:read"]})).json()
    rotated = (await browser.post(f"/api-keys/{made['id']}/rotate", {})).json()
    for key in (made["key"], rotated["key"]):
        for place in _wrong_places(key):
            await app.http.get(f"{API}/tasks", **place)
        await app.http.get(f"{API}/{key}")
        await app.http.get(f"{API}/tasks", headers={"Authorization": f"Bearer {key}"})
    await browser.delete(f"/api-keys/{made['id']}")
    await app.http.get(f"{API}/last")

    await eventually(lambda: [line for line in app.events("request") if line.get("path") == f"{API}/last"], within=15)
    log = json.dumps(app.logs)
    for answer in (made, rotated):
        secret = answer["key"].removeprefix(answer["prefix"] + "_")
        assert await _places(db, answer["prefix"]) == ["api_keys"]
        assert await _places(db, secret) == []
        assert secret not in log
    assert await _places(db, made["id"]) == ["api_keys", "outbox", "tasks"]
    assert made["id"] in log, "the act is in the log"


async def test_a_key_can_not_be_made_from_another_site(app: AppProcess, db: Database, root: Person) -> None:
    """CSRF: a form of another page would have the browser send the cookie by itself."""
    browser = await signed_in(app, db, root)
    browser.csrf_token = ""

    answer = await browser.post("/api-keys", {"name": "theirs", "permissions": ["tasks:read"]})

    assert answer.status_code == 403
    assert await db.fetch_val("SELECT count(*) FROM api_keys") == 0
