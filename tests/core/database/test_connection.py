"""Rows, JSON, and errors, by every way of asking."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Text, bindparam, delete, insert, literal_column, select, text, update
from structlog.testing import capture_logs

from app.core.database import (
    ConnectionTrouble,
    Database,
    QueryTimeout,
    RowNotFound,
    Statement,
    StatementError,
    open_database,
)
from app.core.database.connection import Query
from tests.core.database.tables import books, shelves
from tests.harness.settings import TestSettings

FACTS = {"names": ["a", "ü"], "deep": {"n": 1.5, "none": None}, "yes": True}


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.acquisitions = 0

    def acquired(self, seconds: float) -> None:
        assert seconds >= 0
        self.acquisitions += 1

    def queried(self, name: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((name, outcome))


@pytest.fixture
async def facts(shop: Database) -> Database:
    await shop.execute(insert(shelves), {"label": "a", "facts": FACTS})
    return shop


SELECT = Statement(select(shelves).where(shelves.c.label == bindparam("label")), name="select", registry={})
FORMS = [SELECT, "SELECT * FROM shelves WHERE label = :label", select(shelves).where(shelves.c.label == "a")]


@pytest.mark.parametrize("query", FORMS, ids=["statement", "text", "expression"])
async def test_a_row_is_the_same_by_every_way(facts: Database, query: Query) -> None:
    values = {"label": "a"} if isinstance(query, Statement | str) else None
    one = await facts.fetch_existing(query, values)
    (first,) = await facts.fetch_all(query, values)
    streamed = [row async for row in facts.iterate(query, values)]
    async with facts.connection() as connection:
        held = await connection.fetch_existing(query, values)

    for row in (one, first, streamed[0], held):
        assert type(row) is asyncpg.Record
        assert dict(row) == dict(one)
        assert row["facts"] == row[2] == row.get("facts") == dict(row.items())["facts"] == FACTS
        assert isinstance(row["id"], UUID)
        assert row["created_at"].tzinfo is UTC
    assert await facts.fetch_val(query, values, column="facts") == FACTS


async def test_json_is_decoded_and_encoded_once(shop: Database) -> None:
    for value in ({}, [], [1, "two", None], "text", "", 5, 1.5, True, FACTS, {"quote": "\"'\\"}):
        assert await shop.fetch_val("SELECT CAST(:value AS jsonb)", {"value": value}) == value
        assert await shop.fetch_val("SELECT CAST(:value AS json)", {"value": value}) == value
        returned = insert(shelves).values(label=repr(value), facts=value).returning(shelves.c.facts)
        assert await shop.execute(returned) == value
    assert await shop.fetch_val("SELECT facts #>> '{names,1}' FROM shelves WHERE facts ? 'names'") == "ü"


async def test_none_in_a_json_column_is_null(shop: Database) -> None:
    await shop.execute(insert(shelves).values(label="a", facts=None))

    assert await shop.fetch_val("SELECT facts IS NULL FROM shelves") is True


async def test_timestamps_are_in_utc(shop: Database) -> None:
    found = await shop.fetch_val("SELECT now()")

    assert found.tzinfo is UTC
    assert abs((datetime.now(UTC) - found).total_seconds()) < 60
    assert await shop.fetch_val("SHOW timezone") == "UTC"


async def test_execute_gives_what_is_returned(shop: Database) -> None:
    new = await shop.execute(insert(shelves).values(label="a"))

    assert new == await shop.fetch_val("SELECT id FROM shelves")
    changed = update(shelves).where(shelves.c.id == new).values(label="b").returning(shelves.c.label)
    assert await shop.execute(changed) == "b"
    assert await shop.execute(delete(shelves)) is None
    assert await shop.fetch_one(select(shelves)) is None
    assert await shop.fetch_val(select(shelves)) is None


async def test_execute_many_is_all_or_nothing(shop: Database) -> None:
    await shop.execute_many(insert(shelves), [{"label": "a"}, {"label": "b"}])
    await shop.execute_many("INSERT INTO shelves (label) VALUES (:label)", [{"label": "c"}])
    await shop.execute_many("INSERT INTO shelves (label) VALUES (:label)", [])

    with pytest.raises(asyncpg.UniqueViolationError):
        await shop.execute_many(insert(shelves), [{"label": "d"}, {"label": "a"}])

    assert await shop.fetch_val("SELECT count(*) FROM shelves") == 3


async def test_a_row_that_must_exist(shop: Database) -> None:
    with pytest.raises(RowNotFound):
        await shop.fetch_existing(SELECT, {"label": "nowhere"})


async def test_literal_lists_and_parameter_lists(facts: Database) -> None:
    assert await facts.fetch_val(select(shelves.c.label).where(shelves.c.label.in_(["a", "b"]))) == "a"
    listed = select(shelves.c.label).where(shelves.c.label.in_(bindparam("labels", expanding=True)))
    assert await facts.fetch_val(listed, {"labels": ["x", "a"]}) == "a"
    assert await facts.fetch_val(listed, {"labels": []}) is None


async def test_text_may_hold_what_looks_like_a_placeholder(shop: Database) -> None:
    assert await shop.fetch_val("SELECT '100%s' || CAST(:x AS text)", {"x": "$1"}) == "100%s$1"


async def test_a_failed_query_is_logged_by_name_and_without_values(facts: Database) -> None:
    with capture_logs() as logs, pytest.raises(asyncpg.UniqueViolationError) as caught:
        await facts.execute(insert(shelves), {"label": "a", "facts": {"token": "very-secret"}})

    assert logs == [
        {
            "event": "query_failed",
            "log_level": "info",
            "statement": "insert",
            "error": "UniqueViolationError",
            "outcome": "23505",
            "constraint": "uq_shelves_label",
        }
    ]
    assert caught.value.constraint_name == "uq_shelves_label"


async def test_a_mistake_in_the_sql_is_a_warning(shop: Database) -> None:
    wrong = Statement(select(literal_column("nowhere", Text)), name="wrong", registry={})

    with capture_logs() as logs, pytest.raises(asyncpg.UndefinedColumnError):
        await shop.fetch_one(wrong)

    assert [(entry["log_level"], entry["statement"]) for entry in logs] == [("warning", "wrong")]


async def test_the_observer_sees_every_query(settings: TestSettings) -> None:
    watcher = Watcher()
    async with open_database(settings().database, observer=watcher) as db:
        watcher.seen.clear()
        before = watcher.acquisitions
        async with db.transaction():
            await db.fetch_one(text("SELECT 1"))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await db.fetch_one("SELECT 1 / 0")

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await db.fetch_val("SELECT pg_sleep(30)")
        assert [row[0] async for row in db.iterate("SELECT 1")] == [1]

    assert watcher.seen == [
        *(("begin", "ok"), ("textclause", "ok"), ("commit", "ok")),
        ("text", "22012"),
        ("text", "cancelled"),
        *(("begin", "ok"), ("text", "ok")),
    ]
    assert watcher.acquisitions == before + 4


async def test_a_slow_query_ends_with_our_own_timeout(settings: TestSettings) -> None:
    async with open_database(settings("database.command_timeout=2").database) as db:
        with pytest.raises(QueryTimeout):
            await db.fetch_val("SELECT pg_sleep(30)")

        assert await db.fetch_val("SELECT 1") == 1
        assert db.stats().size == db.stats().idle


async def test_trouble_is_told_to_who_asked_for_it(shop: Database) -> None:
    told = asyncio.Event()
    shop.on_trouble(told.set)

    with pytest.raises(ConnectionTrouble):
        await shop.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    assert told.is_set()
    assert await shop.fetch_val("SELECT 1") == 1


async def test_a_server_turned_standby_loses_its_connections(shop: Database) -> None:
    async with shop.connection() as connection:
        await connection.raw.execute("SET default_transaction_read_only = on")
        with pytest.raises(ConnectionTrouble):
            await shop.execute("INSERT INTO shelves (label) VALUES ('a')")

    await shop.execute("INSERT INTO shelves (label) VALUES ('a')")


def test_one_connection_for_all_tasks_is_not_offered(settings: TestSettings) -> None:
    with pytest.raises(NotImplementedError, match="a database of its own"):
        Database(settings().database).force_rollback()


async def test_a_wrong_parameter_is_named(facts: Database) -> None:
    with pytest.raises(StatementError, match=r"missing: label; unknown: lable.* it takes: label"):
        await facts.fetch_one(SELECT, {"lable": "a"})


async def test_books_reference_shelves(shop: Database) -> None:
    shelf = await shop.execute(insert(shelves).values(label="a"))
    await shop.execute(insert(books).values(shelf_id=shelf, title="t"))

    assert await shop.fetch_val(select(books.c.title).join_from(books, shelves)) == "t"
