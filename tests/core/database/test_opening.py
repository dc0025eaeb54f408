"""At start: what is waited for, what is refused at once, and the sentence a person reads."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.core.database import (
    ConnectionTrouble,
    Database,
    DatabaseUnavailable,
    TlsRefused,
    UnknownDatabase,
    UnsupportedServer,
    WrongPassword,
    open_database,
    opening,
    server,
)
from app.core.database.opening import refusal
from app.core.settings.sections import Database as DatabaseSettings
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually


async def opening_fails_with(settings: DatabaseSettings) -> tuple[Exception, float]:
    started = time.monotonic()
    with pytest.raises((DatabaseUnavailable, UnsupportedServer)) as caught:
        async with open_database(settings):
            pass
    assert settings.password.reveal() not in str(caught.value)
    return caught.value, time.monotonic() - started


async def test_a_server_that_is_not_there_is_tried_until_the_limit(settings: TestSettings, own_port: int) -> None:
    chosen = settings("database.host=127.0.0.1", f"database.port={own_port}", "database.start_timeout=0.5").database

    with capture_logs() as logs:
        error, seconds = await opening_fails_with(chosen)

    assert type(error) is DatabaseUnavailable
    assert str(error).startswith(
        f"PostgreSQL at 127.0.0.1:{own_port} (database {chosen.name!r}, user {chosen.user!r})"
        " could not be reached within 0.5 s: "
    )
    assert "refused" in str(error) or "Connect call failed" in str(error)
    assert seconds < 4
    assert [entry["event"] for entry in logs] == ["database_unreachable"] * len(logs)
    assert [entry["attempt"] for entry in logs] == list(range(1, len(logs) + 1))
    assert all(0 <= entry["retry_in"] <= 0.1 * 2 ** entry["attempt"] and entry["reason"] for entry in logs)


def through(proxy: Proxy) -> tuple[str, str]:
    return "database.host=127.0.0.1", f"database.port={proxy.port}"


async def test_a_server_that_accepts_and_never_answers_is_given_up(settings: TestSettings) -> None:
    chosen = settings().database
    async with open_proxy(chosen.host, chosen.port) as proxy:
        proxy.stall()
        limits = ("database.connect_timeout=0.3", "database.start_timeout=0.2")
        error, seconds = await opening_fails_with(settings(*through(proxy), *limits).database)

    assert str(error).endswith("could not be reached within 0.2 s: no answer in time.")
    assert seconds < 4


async def heal_once_told(proxy: Proxy, logs: list[EventDict]) -> None:
    await eventually(lambda: any(entry["event"] == "database_unreachable" for entry in logs), within=20)
    proxy.heal()


async def test_a_server_that_comes_up_late_is_waited_for(settings: TestSettings) -> None:
    chosen = settings().database
    async with open_proxy(chosen.host, chosen.port) as proxy:
        proxy.cut()
        with capture_logs() as logs:
            healing = asyncio.create_task(heal_once_told(proxy, logs))
            async with open_database(settings(*through(proxy)).database) as db:
                assert await db.fetch_val("SELECT 1") == 1
        await healing

    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"].count("database_unreachable") >= 1


@pytest.mark.parametrize("check", ["check_version", "check_capacity"])
async def test_a_server_that_goes_away_between_its_first_answer_and_its_last_is_waited_for(
    settings: TestSettings, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    chosen = settings().database
    failures: list[Exception] = []
    async with open_proxy(chosen.host, chosen.port) as proxy:
        real = getattr(opening, check)

        async def cut_off_once(*args: Any, **options: Any) -> None:
            if not failures:
                proxy.cut()
            try:
                await real(*args, **options)
            except ConnectionTrouble as error:
                failures.append(error)
                raise

        monkeypatch.setattr(opening, check, cut_off_once)
        with capture_logs() as logs:
            healing = asyncio.create_task(heal_once_told(proxy, logs))
            async with open_database(settings(*through(proxy)).database) as db:
                assert await db.fetch_val("SELECT 1") == 1
        await healing

    assert len(failures) == 1
    assert [entry["attempt"] for entry in logs if entry["event"] == "database_unreachable"][:1] == [1]


async def test_a_server_that_goes_away_for_good_after_its_first_answer_ends_the_start_with_the_limit(
    settings: TestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings().database
    before = asyncio.all_tasks()
    async with open_proxy(chosen.host, chosen.port) as proxy:

        async def cut_off(database: Database) -> None:
            proxy.cut()
            await server.check_version(database)

        monkeypatch.setattr(opening, "check_version", cut_off)
        error, _ = await opening_fails_with(settings(*through(proxy), "database.start_timeout=0.5").database)

    assert type(error) is DatabaseUnavailable
    assert " could not be reached within 0.5 s: " in str(error)
    assert asyncio.all_tasks() <= before


@pytest.mark.parametrize(
    ("override", "kind", "sentence"),
    [
        ("database.password=not-this-one", WrongPassword, "refuses the login: password authentication failed"),
        ("database.user=nobody-we-know", WrongPassword, "refuses the login: "),
        ("database.name=no_such_database", UnknownDatabase, "has no such database. Create it, or check database.name."),
        ("database.sslmode=require", TlsRefused, "and database.sslmode=require do not fit: "),
        ("database.sslmode=verify-full", TlsRefused, "and database.sslmode=verify-full do not fit: "),
    ],
)
async def test_what_waiting_can_not_cure_is_refused_at_once(
    settings: TestSettings, override: str, kind: type[Exception], sentence: str
) -> None:
    with capture_logs() as logs:
        error, seconds = await opening_fails_with(settings(override).database)

    assert type(error) is kind
    assert sentence in str(error)
    assert seconds < 15
    assert logs == []


def test_a_pooler_that_refuses_the_session_settings_is_told_apart(settings: TestSettings) -> None:
    refused = asyncpg.ProtocolViolationError("unsupported startup parameter: statement_timeout")

    error = refusal(settings().database, refused)

    assert "is a pooler that refuses the connection: unsupported startup parameter: statement_timeout." in str(error)
    assert str(error).endswith("set database.pooler_mode to transaction.")


async def test_an_older_server_is_refused(settings: TestSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_VERSION", "SELECT 17 AS major, '17.6' AS full")

    error, _ = await opening_fails_with(settings().database)

    chosen = settings().database
    assert str(error) == (
        "PostgreSQL 18 or newer is needed (uuidv7() among others),"
        f" but the server at {chosen.host}:{chosen.port} is 17.6."
    )


async def test_too_few_connections_for_all_processes_is_a_warning_with_the_numbers(settings: TestSettings) -> None:
    with capture_logs() as logs:
        async with open_database(settings("database.pool_max=100").database, processes=3) as db:
            most = await db.fetch_val("SELECT current_setting('max_connections')::int")

    (entry,) = logs
    assert entry["event"] == "database_connections_short"
    assert (entry["needed"], entry["processes"], entry["pool_max"]) == (303, 3, 100)
    assert entry["max_connections"] == most
    assert entry["available"] == most - entry["reserved"]


async def test_enough_connections_are_not_worth_a_word(settings: TestSettings) -> None:
    with capture_logs() as logs:
        async with open_database(settings().database, processes=2):
            pass

    assert logs == []


async def test_a_start_that_is_cut_off_leaves_nothing_open(settings: TestSettings) -> None:
    before = asyncio.all_tasks()
    chosen = settings().database
    async with open_proxy(chosen.host, chosen.port) as proxy:
        proxy.stall()
        task = asyncio.create_task(enter(settings(*through(proxy)).database))
        await eventually(lambda: proxy.accepted, within=20)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    assert asyncio.all_tasks() <= before


async def enter(settings: DatabaseSettings) -> None:
    async with open_database(settings):
        pass


@pytest.fixture
async def pooled(settings: TestSettings) -> AsyncIterator[Database]:
    chosen = settings("database.pooler_mode=transaction", "database.statement_timeout=7").database
    async with open_database(chosen) as db:
        yield db


async def test_behind_a_transaction_pooler_limits_belong_to_the_transaction(pooled: Database) -> None:
    assert await pooled.fetch_val("SHOW statement_timeout") == "0"
    async with pooled.transaction():
        assert await pooled.fetch_val("SHOW statement_timeout") == "7s"
    async for row in pooled.iterate("SELECT current_setting('statement_timeout') AS limit"):
        assert row["limit"] == "7s"


async def test_behind_a_transaction_pooler_no_named_statement_is_made(pooled: Database) -> None:
    async with pooled.connection() as connection:
        await connection.fetch_val("SELECT 1")
        await connection.fetch_val("SELECT CAST(:x AS int)", {"x": 1})

        assert await connection.fetch_val("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
