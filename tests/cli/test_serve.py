"""`app serve`: its exit codes and what it says, as a supervisor and a newcomer meet them."""

from __future__ import annotations

import socket

import pytest
from sqlalchemy import text

from app.core.database import open_database
from app.core.migrations import expected_revision, migrate_down, migrate_up, read_history
from tests.harness.app_process import launch_app
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

WITHIN = 30.0  # seconds; a loaded machine, not a slow app


async def test_an_unreachable_database_ends_the_start_with_3(settings: TestSettings) -> None:
    async with launch_app(settings, "database.port=1", "database.start_timeout=3") as app:
        code = await app.wait(within=WITHIN)

    (failed,) = app.events("start_failed")
    assert code == failed["exit_code"] == 3
    assert ":1 (database " in failed["reason"]
    assert "could not be reached within 3 s: [Errno 111] Connection refused" in failed["reason"]
    assert len(app.events("database_unreachable")) >= 1


async def test_a_wrong_password_ends_the_start_at_once_with_3(settings: TestSettings) -> None:
    async with launch_app(settings, "database.password=canary-wrong", "database.start_timeout=60") as app:
        code = await app.wait(within=WITHIN)

    (failed,) = app.events("start_failed")
    assert code == 3
    assert "refuses the login" in failed["reason"]
    assert "canary-wrong" not in str(app.logs)


@pytest.mark.engines
async def test_a_taken_port_ends_the_start_with_5_and_is_named(settings: TestSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with launch_app(settings, f"server.port={port}") as app:
            code = await app.wait(within=WITHIN)

    (failed,) = app.events("start_failed")
    assert code == failed["exit_code"] == 5
    assert failed["reason"].startswith(f"127.0.0.1:{port} is in use by another program; ")


@pytest.mark.engines
async def test_an_address_of_nobody_ends_the_start_with_2_and_names_the_setting(settings: TestSettings) -> None:
    async with launch_app(settings, "server.host=192.0.2.1") as app:
        code = await app.wait(within=WITHIN)

    (failed,) = app.events("start_failed")
    assert code == failed["exit_code"] == 2
    assert failed["reason"].startswith("cannot listen on 192.0.2.1:")
    assert failed["reason"].endswith("; look at server.host and server.port")


async def test_a_schema_that_is_behind_is_served_but_not_ready(settings: TestSettings, app_process: StartApp) -> None:
    """Production does not migrate: the process starts, says what it expected and found, and takes no work."""
    database = settings().database
    await migrate_down(database, "-1")
    app = await app_process()

    answer = await app.http.get("/health/ready")
    expected, found = expected_revision(), read_history().revisions[-2].id

    assert answer.status_code == 503
    reason = answer.json()["checks"]["migrations"]["reason"]
    assert expected in reason
    assert found in reason

    await migrate_up(database)

    async def ready() -> bool:
        return (await app.http.get("/health/ready")).status_code == 200

    await eventually(ready, within=5)


async def test_a_schema_that_is_ahead_is_not_ready_either(settings: TestSettings, app_process: StartApp) -> None:
    async with open_database(settings().database) as db:
        await db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    app = await app_process()

    answer = await app.http.get("/health/ready")

    assert answer.status_code == 503
    assert "9999" in answer.json()["checks"]["migrations"]["reason"]


async def test_development_migrates_at_the_start(settings: TestSettings, app_process: StartApp) -> None:
    await migrate_down(settings().database, "base")

    app = await app_process("database.migrate_at_start=true")

    assert (await app.http.get("/health/ready")).status_code == 200


@pytest.mark.engines
async def test_what_nobody_expected_ends_with_1_and_is_logged_whole(settings: TestSettings) -> None:
    async with launch_app(settings, module="tests.server.unmountable") as app:
        code = await app.wait(within=WITHIN)

    (crashed,) = app.events("crashed")
    assert code == 1
    assert crashed["exception"][0]["exc_type"] == "ValueError"
    assert [line for line in app.logs if "text" in line] == [], "no bare traceback beside the events"
    assert [line["resource"] for line in app.events("resource_closed")] == ["held", "realtime", "redis", "database"]
