"""What a client is told, and what it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import insert

from app.core.database import AcquireTimeout, ConnectionTrouble, Database, QueryTimeout, RowNotFound, translate
from app.core.errors import BadRequest, Conflict, NotFound, ServiceUnavailable
from tests.core.database.tables import books, shelves

SECRET = "value-of-a-row"


async def unique(db: Database) -> None:
    await db.execute_many(insert(shelves), [{"label": SECRET}, {"label": SECRET}])


async def foreign_key(db: Database) -> None:
    await db.execute(insert(books).values(shelf_id=uuid4(), title=SECRET))


async def check(db: Database) -> None:
    await db.execute(insert(shelves).values(label="", facts=SECRET))


async def not_null(db: Database) -> None:
    await db.execute(insert(shelves).values(label=None, facts=SECRET))


async def missing_row(db: Database) -> None:
    await db.fetch_existing("SELECT 1 FROM shelves WHERE label = :label", {"label": SECRET})


async def too_long(db: Database) -> None:
    await db.execute("CREATE TABLE narrow (word varchar(3))")
    await db.execute("INSERT INTO narrow VALUES (:word)", {"word": SECRET})


async def zero_byte(db: Database) -> None:
    await db.execute(insert(shelves).values(label=f"{SECRET}\x00"))


async def statement_timeout(db: Database) -> None:
    async with db.transaction():
        await db.execute("SET LOCAL statement_timeout = 20")
        await db.execute("SELECT pg_sleep(10)")


async def lock_timeout(db: Database) -> None:
    async with db.transaction():
        await db.execute("LOCK shelves")
        async with db.detached(), db.transaction():
            await db.execute("SET LOCAL lock_timeout = 20")
            await db.execute("LOCK shelves")


async def deadlock(db: Database) -> None:
    await db.execute_many(insert(shelves), [{"label": "a"}, {"label": "b"}])
    both = asyncio.Barrier(2)

    async def client(first: str, second: str) -> None:
        async with db.transaction():
            await db.execute("UPDATE shelves SET facts = '1' WHERE label = :label", {"label": first})
            await both.wait()
            await db.execute("UPDATE shelves SET facts = '1' WHERE label = :label", {"label": second})

    results = await asyncio.gather(client("a", "b"), client("b", "a"), return_exceptions=True)
    (error,) = [result for result in results if isinstance(result, BaseException)]
    raise error


async def serialization(db: Database) -> None:
    await db.execute(insert(shelves).values(label="a"))
    async with db.transaction(isolation="repeatable_read"):
        await db.fetch_val("SELECT count(*) FROM shelves")
        async with db.detached() as other:
            await other.execute("UPDATE shelves SET facts = '1'")
        await db.execute("UPDATE shelves SET facts = '2'")


async def killed(db: Database) -> None:
    await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")


ANSWERS = [
    (unique, Conflict, {"constraint": "uq_shelves_label"}),
    (foreign_key, Conflict, {"constraint": "fk_books_shelf_id_shelves"}),
    (check, BadRequest, {"constraint": "ck_shelves_label_not_empty"}),
    (not_null, BadRequest, None),
    (missing_row, NotFound, None),
    (too_long, BadRequest, None),
    (zero_byte, BadRequest, None),
    (statement_timeout, ServiceUnavailable, None),
    (lock_timeout, ServiceUnavailable, None),
    (deadlock, ServiceUnavailable, None),
    (serialization, ServiceUnavailable, None),
    (killed, ServiceUnavailable, None),
]


@pytest.mark.parametrize(("fault", "kind", "details"), ANSWERS, ids=[fault.__name__ for fault, _, _ in ANSWERS])
async def test_the_client_gets_a_kind_and_a_constraint_and_no_more(
    shop: Database, fault: Callable[[Database], Awaitable[None]], kind: type[Exception], details: dict[str, str] | None
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (many kinds; the answer is what counts)
        await fault(shop)

    answer = translate(caught.value)
    assert type(answer) is kind
    assert answer.details == details
    assert SECRET not in f"{answer} {answer.message} {answer.details}"
    assert (answer.retry_after == 1) is (kind is ServiceUnavailable)
    assert await shop.fetch_val("SELECT 1") == 1


@pytest.mark.parametrize("trouble", [ConnectionTrouble("x"), AcquireTimeout("x"), QueryTimeout("x")])
def test_trouble_is_503(trouble: Exception) -> None:
    assert type(translate(trouble)) is ServiceUnavailable


@pytest.mark.parametrize("kind", ["TooManyConnectionsError", "AdminShutdownError", "CannotConnectNowError"])
def test_a_server_that_can_not_serve_now_is_503(kind: str) -> None:
    assert type(translate(getattr(asyncpg, kind)("x"))) is ServiceUnavailable


@pytest.mark.parametrize("mistake", [ValueError("x"), TimeoutError(), ConnectionResetError(), LookupError("x")])
def test_what_is_not_the_databases_fault_is_left_alone(mistake: Exception) -> None:
    assert translate(mistake) is None


@pytest.mark.parametrize("sql", ["SELECT nowhere", "SELEC 1", "SELECT 1 / 0"])
async def test_a_mistake_in_the_program_is_left_alone(db: Database, sql: str) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await db.fetch_one(sql)

    assert translate(caught.value) is None


def test_a_row_that_is_not_there_is_404() -> None:
    assert type(translate(RowNotFound("select_user"))) is NotFound
