"""Every operation, asked with data that fits and data that does not, answers as it declares."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.core.database import Database
from tests.contract import broken_routes
from tests.contract.fuzzer import fuzz
from tests.harness import sample_feature
from tests.harness.fixtures import StartApp
from tests.harness.sample_feature import PATH

EXAMPLES = 8
# What the run has to meet, so that it can't pass by being refused at the door.
REACHED = (
    ("GET", PATH, (200, 400)),
    ("POST", PATH, (201, 400, 401)),
    ("PATCH", f"{PATH}/<uuid:note_id>", (200, 400, 401, 404)),
    ("DELETE", f"{PATH}/<uuid:note_id>", (204, 401, 404)),
    ("GET", f"{PATH}/export", (200,)),
    ("GET", "/api/v1/tasks", (200, 400, 401)),
    ("DELETE", "/api/v1/tasks", (200, 400, 401)),
    ("GET", "/api/v1/outbox", (200, 400, 401)),
    ("POST", "/api/v1/outbox/<uuid:event_id>/retry", (404,)),
    ("GET", "/openapi.json", (200,)),
)


@pytest.mark.engines
async def test_every_answer_is_one_that_was_declared(app_process: StartApp, db: Database, tmp_path: Path) -> None:
    await sample_feature.create_tables(db)
    # A busy machine that holds Redis up is no outage, which tickets would say with a 503.
    app = await app_process("redis.timeout=30", module=sample_feature.__name__)
    document = (await app.http.get("/openapi.json")).json()

    found = await fuzz(app, tmp_path, examples=EXAMPLES)

    assert found.code == 0, found.text
    operations = sum(len(item) for item in document["paths"].values())
    assert re.search(rf"Operations:\s+{operations} selected", found.text), found.text
    assert app.events("panic") == []
    seen = {(event["method"], event.get("route"), event["status"]) for event in app.events("request")}
    assert seen >= {*((method, path, status) for method, path, statuses in REACHED for status in statuses)}


FOUND = {
    "GET /broken/crash": "ST101 Server error",
    "GET /broken/status": "ST103 Undocumented status code",
    "GET /broken/type": "ST105 Undocumented Content-Type",
    "GET /broken/body": "ST108 Response violates schema",
    "POST /broken/code": "ST108 Response violates schema",
}


async def test_control_what_breaks_its_declaration_is_found(app_process: StartApp, tmp_path: Path) -> None:
    app = await app_process(module=broken_routes.__name__)

    found = await fuzz(app, tmp_path, examples=EXAMPLES, below="/broken")

    assert found.code == 1, found.text
    told = dict(re.findall(r"^_+ (\S+ \S+) _+$\s+1\. .*?$\s+- (.*?)(?: \(.*)?$", found.text, re.MULTILINE))
    assert told == FOUND, found.text
    assert app.events("panic"), "it did crash"
