"""All of identity, asked for everything that its OpenAPI document allows and more, by a user and by an administrator.

Nothing breaks, every answer is one that was declared, and nothing that a user hears is anybody else's: whatever belongs
to the others holds a mark, in their names, addresses, keys and browsers.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from app.core.database import Database
from tests.features.identity.caller_fuzzer import PLACES, Fuzzer, Headers
from tests.features.identity.people import Browser, Person, make_person, signed_in
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp

MARK = "kwyjibo"
EXAMPLES = 20 if os.environ.get("PLINTH_LONG") else 3  # for each operation, of those that fit and of those that don't
UNLIMITED = "rate_limit.enabled=false"  # what is asked here is more than a person may
API = "/api/v1"
BODIES = {
    f"POST {API}/api-keys": {"name": "mine", "permissions": ["profile:read"]},
    f"POST {API}/api-keys/{{key_id}}/rotate": {"overlap_seconds": 60},
    f"PATCH {API}/users/{{changed_id}}": {"name": "Renamed"},
}
KEY = """
INSERT INTO api_keys (name, key_prefix, key_hash, created_by, permissions)
VALUES (:name, :name, sha256(uuid_send(uuidv7())), :owner, '["profile:read"]') RETURNING id
"""
AGENT = "UPDATE sessions SET user_agent = :agent WHERE user_id = :owner RETURNING id"
REGISTRATION = """
INSERT INTO registrations (email, name, password_hash, expires_at)
VALUES (:email, :name, '-', now() + interval '1 hour')
"""


@dataclass(frozen=True)
class Belongings:
    """Of one user: what has an id, and so could be asked for by it."""

    person: Person
    session: str
    key: str


async def settle(app: AppProcess, db: Database, name: str, *, role: str = "user") -> Belongings:
    """A user with a session and a key, all of them marked with the name."""
    email = f"{name}-{secrets.token_hex(4)}@people.example"
    person = await make_person(db, email=email, name=f"{name} by name", role=role)
    await signed_in(app, db, person)
    session = await db.fetch_val(AGENT, {"agent": f"{name} browser", "owner": person.id})
    key = await db.fetch_val(KEY, {"name": f"{name} key", "owner": person.id})
    return Belongings(person, str(session), str(key))


def signs_in(app: AppProcess, db: Database, person: Person) -> Callable[[], Headers]:
    """A browser that signs in anew each time, for a thread beside this loop."""
    loop = asyncio.get_running_loop()

    async def sign_in() -> Headers:
        browser: Browser = await signed_in(app, db, person)
        return browser.sent()

    return lambda: asyncio.run_coroutine_threadsafe(sign_in(), loop).result(timeout=60)


def ids_of(caller: Belongings, others: Sequence[Belongings]) -> dict[str, list[str]]:
    """By the names of parameters: of the others first, and what the caller can lose and go on."""
    users = [str(each.person.id) for each in others]
    return {
        **dict.fromkeys(("shown_id", "changed_id", "owner_id"), users),
        "revoked_id": [*(each.session for each in others), caller.session],
        "key_id": [*(each.key for each in others), caller.key],
    }


async def fuzz(app: AppProcess, db: Database, caller: Belongings, *others: Belongings) -> Fuzzer:
    fuzzer = await asyncio.to_thread(
        Fuzzer,
        app,
        (await app.http.get("/openapi.json")).json(),
        signs_in(app, db, caller.person),
        ids_of(caller, others),
        BODIES,
        EXAMPLES,
    )
    await fuzzer.run()
    return fuzzer


def reached(fuzzer: Fuzzer) -> set[tuple[str, str, int]]:
    return {(heard.method, heard.path.removeprefix(API), heard.status) for heard in fuzzer.heard}


@pytest.mark.timeout(600)
async def test_a_user_breaks_nothing_and_hears_nothing_of_anybody_else(app_process: StartApp, db: Database) -> None:
    app = await app_process(UNLIMITED, module="tests.cli.nothing_more")
    ada, *others = [await settle(app, db, name) for name in ("ada", MARK, MARK)]
    await db.execute(REGISTRATION, {"email": f"{MARK}@example.org", "name": MARK})

    fuzzer = await fuzz(app, db, ada, *others)

    assert [each for each in fuzzer.heard if MARK in each.text.lower()] == []
    assert fuzzer.wrong == []
    assert [each for each in fuzzer.heard if each.status >= 500] == []
    assert app.events("panic") == []
    assert reached(fuzzer) >= {
        ("GET", "/auth/me", 200),
        ("POST", "/auth/logout", 204),
        ("POST", "/auth/register", 400),
        ("GET", "/sessions", 200),
        ("DELETE", "/sessions/{revoked_id}", 404),
        ("GET", "/api-keys", 200),
        ("POST", "/api-keys", 201),
        ("POST", "/api-keys/{key_id}/rotate", 404),
        ("DELETE", "/api-keys/{key_id}", 404),
        ("GET", "/users", 403),
        ("GET", "/users/{shown_id}", 403),
        ("PATCH", "/users/{changed_id}", 403),
    }
    assert any("ada by name" in each.text for each in fuzzer.heard), "what is the caller's own is heard"
    kept = "SELECT count(*) FROM {} WHERE {} = ANY(:ids)"
    theirs = [other.person.id for other in others]
    for table, column in (("users", "id"), ("sessions", "user_id"), ("api_keys", "created_by")):
        assert await db.fetch_val(kept.format(table, column), {"ids": theirs}) == len(others)


@pytest.mark.timeout(600)
async def test_an_administrator_breaks_nothing(app_process: StartApp, db: Database) -> None:
    """And hears of the others: the mark would be found where it is to be missed."""
    app = await app_process(UNLIMITED, module="tests.cli.nothing_more")
    root = await settle(app, db, "root", role="admin")
    others = [await settle(app, db, MARK) for _ in range(2)]

    fuzzer = await fuzz(app, db, root, *others)

    assert fuzzer.wrong == []
    assert [each for each in fuzzer.heard if each.status >= 500] == []
    assert app.events("panic") == []
    assert any(MARK in each.text for each in fuzzer.heard)
    assert reached(fuzzer) >= {
        ("GET", "/users", 200),
        ("GET", "/users", 400),
        ("GET", "/users/{shown_id}", 200),
        ("GET", "/users/{shown_id}", 404),
        ("PATCH", "/users/{changed_id}", 200),
        ("DELETE", "/users/{owner_id}/sessions", 204),
    }
    assert sum(heard.status == 400 for heard in fuzzer.heard) > 10, "data that do not fit were tried"


async def test_every_operation_of_identity_is_asked(app_process: StartApp) -> None:
    """A new path outside these places would not be fuzzed."""
    app = await app_process(module="tests.cli.nothing_more")

    document = (await app.http.get("/openapi.json")).json()

    tags = {"auth", "registration", "passwords", "resets", "tokens", "second_factor", "sessions", "api_keys", "users"}
    ours = {
        path
        for path, item in document["paths"].items()
        if any(tags & set(operation.get("tags", ())) for operation in item.values())
    }
    assert ours
    assert {path for path in ours if not path.startswith(PLACES)} == set()
