"""`/api/v1/tasks` and `/outbox`, as an administrator's client meets them on a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.core.database import Database
from app.core.ids import new_id
from tests.harness import queue_routes
from tests.harness.fixtures import StartApp
from tests.harness.queued import claim, end, enqueue, hand_on, publish
from tests.harness.signed_tokens import bearer
from tests.harness.waiting import eventually

PATH = "/api/v1"
ADA, ROOT = bearer("ada"), bearer("root", role="admin")
NOBODY = "01a1ffc9-4125-7647-8cde-b3b859b8fd3a"
EVERYTHING = (
    ("GET", "/queue"),
    ("GET", "/tasks"),
    ("DELETE", "/tasks?status=dead"),
    ("GET", f"/tasks/{NOBODY}"),
    ("POST", f"/tasks/{NOBODY}/retry"),
    ("POST", f"/tasks/{NOBODY}/cancel"),
    ("GET", "/outbox"),
    ("GET", f"/outbox/{NOBODY}"),
    ("POST", f"/outbox/{NOBODY}/retry"),
)


@pytest.fixture
async def http(app_process: StartApp) -> httpx.AsyncClient:
    """Signed in as an administrator."""
    client = (await app_process(module=queue_routes.__name__)).http
    client.headers.update(ROOT)
    return client


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_only_administrators_get_in(http: httpx.AsyncClient) -> None:
    as_user = [told(await http.request(method, PATH + path, headers=ADA)) for method, path in EVERYTHING]
    del http.headers["Authorization"]
    as_nobody = [told(await http.request(method, PATH + path)) for method, path in EVERYTHING]

    assert as_user == [(403, "FORBIDDEN")] * len(EVERYTHING)
    assert as_nobody == [(401, "UNAUTHORIZED")] * len(EVERYTHING)


async def test_tasks_are_listed_page_by_page_without_their_payloads(http: httpx.AsyncClient, db: Database) -> None:
    dead = await enqueue(db, 2)
    await end(db, "dead", "ValueError: no\nline 7")
    await end(db, "done")
    rest = await enqueue(db, 3)

    items, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = await http.get(f"{PATH}/tasks", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        items += page.json()["items"]
        cursor, pages = page.json()["next_cursor"], pages + 1
        assert "ada@example.org" not in page.text
    only_dead = (await http.get(f"{PATH}/tasks", params={"status": "dead", "type": "notes.remind"})).json()

    assert pages == 3
    assert [each["id"] for each in items] == [str(each) for each in (*reversed(rest), *reversed(dead))]
    assert only_dead["items"] == items[3:]
    assert (items[-1]["status"], items[-1]["error"]) == ("dead", "ValueError: no")


async def test_a_task_is_shown_retried_and_cancelled(http: httpx.AsyncClient, db: Database) -> None:
    [task_id] = await enqueue(db)
    await end(db, "dead", "ValueError: no\nline 7")
    path = f"{PATH}/tasks/{task_id}"

    shown = (await http.get(path)).json()
    retried = await http.post(f"{path}/retry")
    again = await http.post(f"{path}/retry")
    [running] = await claim(db)
    cancelled = await http.post(f"{path}/cancel")
    twice = await http.post(f"{path}/cancel")

    assert (shown["payload"], shown["last_error"]) == ({"text": "for ada@example.org"}, "ValueError: no\nline 7")
    assert (retried.status_code, retried.json()["status"], retried.json()["lease_seq"]) == (200, "pending", 1)
    assert told(again) == (409, "CONFLICT")
    assert again.json()["error"] == "Only a dead or cancelled task can be retried. This one is pending."
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (running.id, cancelled.json()["lease_seq"]) == (task_id, 2)
    assert told(twice) == (409, "CONFLICT")


async def test_a_taken_dedupe_key_is_a_conflict(http: httpx.AsyncClient, db: Database) -> None:
    [dead] = await enqueue(db, dedupe_key="once")
    await end(db, "dead")
    await enqueue(db, dedupe_key="once")

    answer = await http.post(f"{PATH}/tasks/{dead}/retry")

    assert told(answer) == (409, "CONFLICT")
    assert "same dedupe_key" in answer.json()["error"]


async def test_finished_tasks_are_deleted(http: httpx.AsyncClient, db: Database) -> None:
    await enqueue(db, 3)
    await end(db, "dead")
    await enqueue(db)

    old = await http.delete(f"{PATH}/tasks", params={"status": "dead", "older_than": 3600})
    all_ = await http.delete(f"{PATH}/tasks", params={"status": "dead"})

    assert (old.json(), all_.json()) == ({"deleted": 0, "more": False}, {"deleted": 3, "more": False})
    assert await db.fetch_val("SELECT count(*) FROM tasks") == 1


async def test_events_are_listed_shown_and_handed_on_again(http: httpx.AsyncClient, db: Database) -> None:
    first = await publish(db, new_id())
    early = await http.post(f"{PATH}/outbox/{first}/retry")
    await hand_on(db)
    [delivery] = await end(db, "dead")
    second = await publish(db, new_id())

    listed = await http.get(f"{PATH}/outbox", params={"type": "notes.written"})
    unprocessed = (await http.get(f"{PATH}/outbox", params={"unprocessed": "true"})).json()
    shown = (await http.get(f"{PATH}/outbox/{first}")).json()
    wrong = await http.post(f"{PATH}/outbox/{first}/retry", params={"handler": "feed.pots"})
    retried = await http.post(f"{PATH}/outbox/{first}/retry")
    again = await http.post(f"{PATH}/outbox/{first}/retry")

    assert told(early) == (409, "CONFLICT")
    assert [each["id"] for each in listed.json()["items"]] == [str(second), str(first)]
    assert "ada@example.org" not in listed.text
    assert [each["id"] for each in unprocessed["items"]] == [str(second)]
    assert shown["event"]["payload"] == {"text": "for ada@example.org"}
    assert [(each["task_id"], each["status"]) for each in shown["deliveries"]] == [(str(delivery), "dead")]
    assert told(wrong) == (404, "NOT_FOUND")
    assert {each["handler"] for each in retried.json()["tasks"]} == {"search.index", "feed.post"}
    assert told(again) == (409, "CONFLICT")


async def test_the_queue_is_summed_up(http: httpx.AsyncClient, db: Database) -> None:
    await publish(db, new_id())
    await enqueue(db, 2)

    found: dict[str, Any] = (await http.get(f"{PATH}/queue")).json()

    [counted] = [each for each in found["types"] if each["task_type"] == "notes.remind"]
    assert (counted["pending"], counted["dead"]) == (2, 0)
    assert found["outbox"]["unprocessed"] == 1


REFUSED = (
    ("GET", f"/tasks/{NOBODY}", (404, "NOT_FOUND")),
    ("POST", f"/tasks/{NOBODY}/retry", (404, "NOT_FOUND")),
    ("POST", f"/tasks/{NOBODY}/cancel", (404, "NOT_FOUND")),
    ("GET", f"/outbox/{NOBODY}", (404, "NOT_FOUND")),
    ("POST", f"/outbox/{NOBODY}/retry", (404, "NOT_FOUND")),
    ("GET", "/tasks/abc", (404, "NOT_FOUND")),
    ("GET", "/tasks?status=odd", (400, "VALIDATION_ERROR")),
    ("GET", "/tasks?cursor=odd", (400, "VALIDATION_ERROR")),
    ("GET", "/tasks?limit=0", (400, "VALIDATION_ERROR")),
    ("GET", "/tasks?type=No%20name", (400, "VALIDATION_ERROR")),
    ("DELETE", "/tasks", (400, "VALIDATION_ERROR")),
    ("DELETE", "/tasks?status=running", (400, "VALIDATION_ERROR")),
    ("DELETE", "/tasks?status=dead&older_than=-1", (400, "VALIDATION_ERROR")),
    ("GET", "/outbox?unprocessed=maybe", (400, "VALIDATION_ERROR")),
)


async def test_what_cannot_be_meant_is_refused(http: httpx.AsyncClient) -> None:
    answers = [(method, path, told(await http.request(method, PATH + path))) for method, path, _ in REFUSED]

    assert answers == list(REFUSED)


async def test_the_log_says_who_has_changed_what(app_process: StartApp, db: Database) -> None:
    app = await app_process(module=queue_routes.__name__)
    [task_id] = await enqueue(db)

    await app.http.post(f"{PATH}/tasks/{task_id}/cancel", headers=ROOT)
    await app.http.post(f"{PATH}/tasks/{task_id}/retry", headers=ROOT)
    await app.http.post(f"{PATH}/tasks/{task_id}/retry", headers=ROOT)
    await app.http.delete(f"{PATH}/tasks", params={"status": "dead"}, headers=ROOT)

    await eventually(lambda: app.events("tasks_purged"), within=10)
    told = [(each["event"], each["by"]) for each in app.logs if each.get("by")]
    assert told == [("task_cancelled", "root"), ("task_retried", "root"), ("tasks_purged", "root")]
    assert [each["task_id"] for each in app.logs if each.get("by") and "task_id" in each] == [str(task_id)] * 2
