"""`/api/v1/api-keys` as its users meet it: people make keys, machines use them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.core.database import Database
from app.core.settings import Environment
from app.features.identity.service.key_form import make_key
from app.features.identity.service.keys import MOST_KEYS
from tests.features.identity.keys import Key, give_key
from tests.features.identity.people import API, Browser, Person, make_person, signed_in
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually

TICKETS = f"{API}/realtime/tickets"  # what a key of anybody may open


@pytest.fixture
async def app(app_process: StartApp) -> AppProcess:
    """The keys open what needs Redis: a busy machine that holds it up is no outage."""
    return await app_process("rate_limit.enabled=false", "redis.timeout=2")


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db)


@pytest.fixture
async def browser(app: AppProcess, db: Database, ada: Person) -> Browser:
    return await signed_in(app, db, ada)


async def used(app: AppProcess, key: str) -> int:
    """How a machine with this key is answered."""
    answer = await app.http.post(TICKETS, headers={"Authorization": f"Bearer {key}"})
    return answer.status_code


async def make(browser: Browser, **fields: Any) -> httpx.Response:
    return await browser.post("/api-keys", {"name": "backup", "permissions": ["realtime:connect"], **fields})


async def test_a_key_is_shown_once_and_opens_what_it_was_given(app: AppProcess, browser: Browser) -> None:
    made = await make(browser)
    key = made.json()["key"]
    listed = await browser.get("/api-keys")

    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    assert key.startswith(made.json()["prefix"] + "_")
    assert await used(app, key) == 201
    [line] = (await browser.get("/api-keys")).json()["items"]
    assert line.pop("last_used_at") is not None
    assert line == {name: value for name, value in made.json().items() if name not in {"key", "last_used_at"}}
    assert key not in listed.text
    assert key.removeprefix(made.json()["prefix"]) not in listed.text


async def test_keys_are_listed_page_by_page_newest_first(browser: Browser, db: Database, ada: Person) -> None:
    keys = [await give_key(db, ada) for _ in range(5)]
    await give_key(db, await make_person(db))

    items, cursor = [], None
    for _ in range(3):
        page = (await browser.get("/api-keys", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        items += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]

    assert items == [str(key.id) for key in reversed(keys)]
    assert cursor is None


@pytest.mark.parametrize(
    ("expires_at", "said"),
    [
        (datetime.now(UTC) - timedelta(seconds=1), "must lie in the future, and at most ten years away"),
        (datetime.now(UTC) + timedelta(days=3660), "must lie in the future, and at most ten years away"),
        (datetime(2100, 1, 1), "zone"),  # noqa: DTZ001  (that is the fault)
    ],
)
async def test_an_end_that_is_none_is_refused(browser: Browser, expires_at: datetime, said: str) -> None:
    answer = await make(browser, expires_at=expires_at.isoformat())

    assert answer.status_code == 400
    assert said in answer.json()["details"]["expires_at"][0]


async def test_a_permission_that_no_route_asks_for_is_refused_and_the_others_are_named(browser: Browser) -> None:
    answer = await make(browser, permissions=["realtime:connect", "tasks:*"])

    assert answer.status_code == 400
    [(field, [said])] = answer.json()["details"].items()
    assert field == "permissions[1]"
    assert said.startswith("is none that you may give; there are: ")
    assert "realtime:connect" in said


async def test_permissions_of_administrators_are_given_by_them(app: AppProcess, browser: Browser, db: Database) -> None:
    root = await signed_in(app, db, await make_person(db, role="admin"))

    as_user = await make(browser, permissions=["tasks:read"])
    as_admin = await make(root, permissions=["tasks:write", "tasks:read", "tasks:read"])

    assert as_user.status_code == 400
    assert "tasks:read" not in as_user.json()["details"]["permissions[0]"][0]
    assert as_admin.status_code == 201
    assert as_admin.json()["permissions"] == ["tasks:read", "tasks:write"]


@pytest.mark.parametrize("field", ["created_by", "key_hash", "id", "revoked_at", "role"])
async def test_nothing_else_can_be_set(browser: Browser, field: str) -> None:
    answer = await make(browser, **{field: None})

    assert (answer.status_code, list(answer.json()["details"])) == (400, [field])


async def test_nobody_has_more_keys_than_the_most_not_even_at_the_same_moment(
    browser: Browser, db: Database, ada: Person
) -> None:
    """Counting without a lock lets all five through: each sees one place that is free."""
    for _ in range(MOST_KEYS - 1):
        await give_key(db, ada)
    for _ in range(3):
        await give_key(db, ada, ends_in=-1)  # does not count any more

    answers = await asyncio.gather(*(make(browser) for _ in range(5)))

    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409, 409]


async def test_both_keys_hold_while_they_overlap_and_then_the_new_one(
    app: AppProcess, browser: Browser, db: Database, ada: Person
) -> None:
    old = await give_key(db, ada, "realtime:connect")

    rotated = await browser.post(f"/api-keys/{old.id}/rotate", {"overlap_seconds": 3600})
    new = rotated.json()["key"]
    together = [await used(app, old.text), await used(app, new)]
    left = await db.fetch_val(
        "SELECT extract(epoch FROM expires_at - now()) FROM api_keys WHERE id = :id", {"id": old.id}
    )
    await db.execute("UPDATE api_keys SET expires_at = now() WHERE id = :id", {"id": old.id})
    later = [await used(app, old.text), await used(app, new)]

    assert (rotated.status_code, rotated.headers["Cache-Control"]) == (201, "no-store")
    assert (together, later) == ([201, 201], [401, 201])
    assert 3500 < left <= 3600
    assert rotated.json()["permissions"] == ["realtime:connect"]
    lines = {each["id"]: each for each in (await browser.get("/api-keys")).json()["items"]}
    assert lines[str(old.id)]["replaced_by"] == rotated.json()["id"]


async def test_a_successor_lasts_as_long_and_its_predecessor_no_longer_than_it_would_have(
    browser: Browser, db: Database, ada: Person
) -> None:
    short = await give_key(db, ada, ends_in=600)

    rotated = (await browser.post(f"/api-keys/{short.id}/rotate", {"overlap_seconds": 3600})).json()

    left = await db.fetch_val(
        "SELECT extract(epoch FROM expires_at - now()) FROM api_keys WHERE id = :id", {"id": short.id}
    )
    assert left <= 600
    lasts = datetime.fromisoformat(rotated["expires_at"]) - datetime.fromisoformat(rotated["created_at"])
    assert 590 < lasts.total_seconds() < 610


async def test_a_key_is_rotated_once_even_by_ten_at_once(browser: Browser, db: Database, ada: Person) -> None:
    """Without the lock each of them would read a key that nobody has rotated, and leave ten successors."""
    key = await give_key(db, ada)

    answers = await asyncio.gather(*(browser.post(f"/api-keys/{key.id}/rotate", {}) for _ in range(10)))

    assert sorted(each.status_code for each in answers) == [201] + [409] * 9
    assert await db.fetch_val("SELECT count(*) FROM api_keys") == 2


async def test_a_key_that_is_over_is_not_rotated(browser: Browser, db: Database, ada: Person) -> None:
    revoked, expired = await give_key(db, ada), await give_key(db, ada, ends_in=-1)
    await browser.delete(f"/api-keys/{revoked.id}")

    answers = [await browser.post(f"/api-keys/{key.id}/rotate", {}) for key in (revoked, expired)]

    assert [each.status_code for each in answers] == [409, 409]
    assert "has expired" in answers[1].json()["error"]


async def test_revoking_twice_is_one_act(browser: Browser, db: Database, ada: Person) -> None:
    key = await give_key(db, ada)

    answers = [await browser.delete(f"/api-keys/{key.id}") for _ in range(2)]

    assert [each.status_code for each in answers] == [204, 204]
    acts = await db.fetch_all("SELECT event_type, aggregate_id, payload FROM outbox")
    [(name, whose, payload)] = [tuple(each) for each in acts]
    assert (name, whose) == ("identity.key_revoked", ada.id)
    assert (payload["by"], payload["about"]) == (str(ada.id), str(key.id))


async def _last_used(db: Database, key: Key) -> datetime | None:
    found: datetime | None = await db.fetch_val("SELECT last_used_at FROM api_keys WHERE id = :id", {"id": key.id})
    return found


async def test_the_last_use_is_written_once_a_minute(app: AppProcess, db: Database, ada: Person) -> None:
    """A naive implementation writes a row for every request."""
    key = await give_key(db, ada, "realtime:connect")

    await used(app, key.text)
    first = await _last_used(db, key)
    await used(app, key.text)
    second = await _last_used(db, key)
    await db.execute("UPDATE api_keys SET last_used_at = now() - interval '61 seconds'")
    await used(app, key.text)
    third = await _last_used(db, key)

    assert first is not None
    assert second == first
    assert third is not None
    assert third > first


async def test_a_key_whose_row_is_locked_is_not_waited_for(app: AppProcess, db: Database, ada: Person) -> None:
    """Without SKIP LOCKED the request would hang on the row until its own limit stops it."""
    key = await give_key(db, ada, "realtime:connect")

    async with db.transaction():
        await db.execute("SELECT 1 FROM api_keys WHERE id = :id FOR UPDATE", {"id": key.id})
        status = await used(app, key.text)

    assert status == 201
    assert await _last_used(db, key) is None, "the row was locked"


async def test_what_cannot_be_a_key_costs_no_question_to_the_database(app: AppProcess, db: Database) -> None:
    """The table is locked: whoever asks it has to wait, as the well-formed key does that nobody has made."""
    made_up = make_key(Environment.TESTING).text
    typo = made_up[:-1] + ("0" if made_up[-1] != "0" else "1")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'api_keys'::regclass"

    async with db.transaction():
        await db.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        answers = [await used(app, each) for each in (typo, "pk_", "pk_test_x", made_up + "0", f"pk_live{made_up[7:]}")]
        asking = asyncio.create_task(used(app, made_up))

        async def waits() -> bool:
            return bool(await db.fetch_val(waiting) == 1)

        await eventually(waits, within=15)

    assert answers == [401] * 5
    assert await asking == 401
