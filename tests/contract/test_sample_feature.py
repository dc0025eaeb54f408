"""The sample feature does what its declarations say, seen as a client sees it."""

from __future__ import annotations

import pytest

from app.core.database import Database
from tests.harness import sample_feature
from tests.harness.fixtures import StartApp
from tests.harness.sample_feature import PATH
from tests.harness.signed_tokens import bearer

ADA, ADMIN = bearer("ada"), bearer("root", role="admin")


@pytest.fixture
async def _tables(db: Database) -> None:
    await sample_feature.create_tables(db)


@pytest.mark.usefixtures("_tables")
async def test_a_note_is_written_listed_changed_and_deleted(app_process: StartApp) -> None:
    http = (await app_process(module=sample_feature.__name__)).http

    first, second = [
        (await http.post(PATH, json={"title": title, "tags": ["new"]}, headers=ADA)).json()
        for title in ("Milk", "Bread")
    ]
    page = (await http.get(PATH, params={"limit": 1})).json()
    rest = (await http.get(PATH, params={"limit": 1, "after": page["next_cursor"]})).json()
    changed = await http.patch(f"{PATH}/{first['id']}", json={"title": "Cream"}, headers=ADA)
    deleted = await http.delete(f"{PATH}/{second['id']}", headers=ADMIN)

    assert first == {"id": first["id"], "title": "Milk", "tags": ["new"], "author": "ada"}
    assert page == {"items": [first], "next_cursor": first["id"]}
    assert rest == {"items": [second], "next_cursor": None}
    assert changed.json() == {**first, "title": "Cream"}
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await http.get(f"{PATH}/number/0")).json()["title"] == "Cream"
    assert (await http.get(f"{PATH}/titled/Cream")).json()["id"] == first["id"]
    assert (await http.get(f"{PATH}/export")).text == "Cream\n"
    assert (await http.get(f"{PATH}/count")).json() == {"notes": 1}


@pytest.mark.usefixtures("_tables")
async def test_each_refusal_has_its_own_code(app_process: StartApp) -> None:
    http = (await app_process(module=sample_feature.__name__)).http
    note = (await http.post(PATH, json={"title": "Milk"}, headers=ADA)).json()

    answers = [
        await http.post(PATH, json={"title": "Milk"}),
        await http.post(PATH, json={"title": "Milk"}, headers=ADA),
        await http.post(PATH, json={"title": ""}, headers=ADA),
        await http.post(PATH, content=b"title=Milk", headers={**ADA, "Content-Type": "text/plain"}),
        await http.delete(f"{PATH}/{note['id']}", headers=ADA),
        await http.get(f"{PATH}/{'0' * 8}-0000-0000-0000-{'0' * 12}"),
        await http.get(f"{PATH}/number/1001"),
        await http.get(PATH, params={"limit": 0}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (401, "UNAUTHORIZED"),
        (409, "CONFLICT"),
        (400, "VALIDATION_ERROR"),
        (415, "UNSUPPORTED_MEDIA_TYPE"),
        (403, "FORBIDDEN"),
        (404, "NOT_FOUND"),
        (404, "NOT_FOUND"),
        (400, "VALIDATION_ERROR"),
    ]
