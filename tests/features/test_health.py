"""The health addresses of a real server; what they say in an outage stands in tests/server/test_outages.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.database import Database
from app.core.version import VERSION
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually

# However busy the machine is, the probes have had their answers by the time that it serves.
PATIENT = ("redis.timeout=30", "database.health_timeout=30")


async def test_health_tells_a_person_how_it_is(app_process: StartApp) -> None:
    app = await app_process(*PATIENT)

    answer = await app.http.get("/health")
    body = answer.json()
    told = datetime.fromisoformat(body.pop("timestamp"))

    assert answer.status_code == 200
    assert body == {"status": "healthy", "database": "connected", "redis": "connected", "version": VERSION}
    assert told.tzinfo == UTC
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.engines
async def test_live_says_ok_and_nothing_else(app_process: StartApp) -> None:
    app = await app_process()

    answer = await app.http.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.engines
async def test_live_says_the_same_at_once_and_by_its_route(app_process: StartApp) -> None:
    app = await app_process()

    prompt = await app.http.get("/health/live")
    routed = await app.http.get("/health/live", headers={"Content-Length": "0"})

    assert (prompt.status_code, prompt.content) == (routed.status_code, routed.content)
    ids = {each.headers.pop("x-request-id") for each in (prompt, routed)}
    assert len(ids) == 2
    assert {**prompt.headers, "date": ""} == {**routed.headers, "date": ""}


@pytest.mark.engines
async def test_ready_lists_every_check(app_process: StartApp) -> None:
    app = await app_process(*PATIENT)

    answer = await app.http.get("/health/ready")

    assert answer.status_code == 200
    checks = {name: {"ok": True} for name in ("database", "migrations", "redis", "pool", "draining")}
    assert answer.json() == {"status": "ready", "checks": checks}


async def test_a_server_whose_queries_wait_long_is_not_ready(app_process: StartApp, db: Database) -> None:
    pool = ("database.pool_min=1", "database.pool_max=1", "database.acquire_timeout=6", "database.lock_timeout=10")
    app = await app_process(*pool, *PATIENT)
    await app.http.put("/test/entries")

    async with db.transaction():
        await db.execute("LOCK TABLE test_entries")  # the one connection waits for it, and who is next for that
        busy = [asyncio.create_task(app.http.post(f"/test/entries/{number}")) for number in range(2)]
        saturated = await eventually(lambda: _pool_is_saturated(app), within=10)
    answers = [await task for task in busy]

    assert saturated["reason"].startswith("all 1 connections are in use and a query has waited ")
    assert {answer.status_code for answer in answers} == {201}, "the queries themselves were in time"
    assert (await app.http.get("/health/ready")).status_code == 200


async def _pool_is_saturated(app: AppProcess) -> dict[str, Any]:
    answer = await app.http.get("/health/ready")
    check: dict[str, Any] = answer.json()["checks"]["pool"]
    assert answer.status_code == (200 if check["ok"] else 503)
    return {} if check["ok"] else check


async def test_the_root_leads_a_browser_to_the_page(app_process: StartApp) -> None:
    app = await app_process()

    root = await app.http.get("/")
    page = await app.http.get(root.headers["location"])

    assert (root.status_code, root.headers["location"]) == (302, "/web/login")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Plinth is running</h1>" in page.text
