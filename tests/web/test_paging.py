"""Pages of a list: nothing is skipped or repeated, whatever happens between them, and no cursor is made up."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, select, tuple_
from sqlalchemy.schema import CreateTable

from app.core.database import Database, Statement
from app.core.errors import ValidationFailed
from app.core.json import dumps
from app.core.lifecycle import Lifecycle
from app.web import PUBLIC, Application, endpoint
from app.web.paging import Page, PageQuery, decode_cursor, encode_cursor, page_of
from tests.web.conftest import Serving

REFUSED = {"cursor": ["is not one that this list has given out"]}
ID = UUID("01900000-0000-7000-8000-000000000001")


class Colour(StrEnum):
    RED = "red"


VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**64 - 1),
    str: st.text(st.characters(codec="utf-8")),
    bool: st.booleans(),
    UUID: st.uuids(),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=4),
    Colour: st.sampled_from(Colour),
    int | None: st.none() | st.integers(0, 9),
}
KINDS = st.lists(st.sampled_from([*VALUES]), min_size=1, max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), kinds=KINDS)
def test_a_cursor_brings_its_values_back(data: st.DataObject, kinds: Sequence[Any]) -> None:
    values = tuple(data.draw(VALUES[kind]) for kind in kinds)

    assert decode_cursor(encode_cursor(values), kinds) == values


def armoured(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


NEAR: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 2**64 - 1, "a", "red", str(ID), "2026-01-31T09:30:00Z", "1.5", [], {}]
)
ANY_CURSOR = (
    st.text()
    | st.text("abcABC019-_=")
    | st.binary().map(armoured)
    | st.lists(NEAR, max_size=3).map(lambda values: armoured(orjson.dumps(values)))
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(cursor=ANY_CURSOR, kinds=KINDS)
def test_any_text_is_refused_or_gives_values_of_the_right_types(cursor: str, kinds: Sequence[Any]) -> None:
    with suppress(ValidationFailed):
        values = decode_cursor(cursor, kinds)

        assert encode_cursor(values) == cursor
        for value, kind in zip(values, kinds, strict=True):
            assert isinstance(value, kind)


GIVEN_OUT = encode_cursor((datetime(2026, 1, 31, tzinfo=UTC), ID))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        GIVEN_OUT[:-1],
        GIVEN_OUT + "A",
        GIVEN_OUT + "=",
        "!" + GIVEN_OUT,
        GIVEN_OUT.swapcase(),
        encode_cursor((ID, datetime(2026, 1, 31, tzinfo=UTC))),
        encode_cursor((datetime(2026, 1, 31), ID)),  # noqa: DTZ001  (that is what is wrong with it)
        encode_cursor((ID,)),
        armoured(f'["2026-01-31T00:00:00+00:00", "{ID}"]'.encode()),  # a space that is not ours
        armoured(b"[" * 1000),
    ],
)
def test_a_cursor_that_was_changed_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        decode_cursor(cursor, (datetime, UUID))

    assert refused.value.details == REFUSED


def test_the_last_page_has_no_cursor() -> None:
    def key(number: int) -> tuple[int]:
        return (number,)

    assert page_of([], 2, key=key) == Page([], None)
    assert page_of([1, 2], 2, key=key) == Page([1, 2], None)
    assert page_of([1, 2, 3], 2, key=key) == Page([1, 2], encode_cursor((2,)))


@dataclass(frozen=True)
class Entry:
    rank: int
    id: int


def test_a_page_leaves_as_items_and_a_cursor_and_has_a_schema() -> None:
    page = page_of([Entry(1, 1), Entry(1, 2)], 1, key=lambda entry: (entry.rank, entry.id))

    (schema,), _ = msgspec.json.schema_components([Page[Entry]])

    assert orjson.loads(dumps(page)) == {"items": [{"rank": 1, "id": 1}], "next_cursor": encode_cursor((1, 1))}
    assert "Page" in schema["$ref"]


tables = MetaData()
ranked = Table("ranked", tables, Column("id", Integer, primary_key=True), Column("rank", Integer, nullable=False))
# Statements of the app are in one register; these are the test's own.
own: dict[str, Statement] = {}
_first = select(ranked.c.rank, ranked.c.id).order_by(ranked.c.rank, ranked.c.id).limit(bindparam("fetched"))
FIRST = Statement(_first, name="first_page", registry=own)
NEXT = Statement(
    _first.where(tuple_(ranked.c.rank, ranked.c.id) > tuple_(bindparam("rank"), bindparam("id"))),
    name="next_page",
    registry=own,
)


async def select_page(db: Database, query: PageQuery) -> Page[Entry]:
    """As a service and its repository do it."""
    if query.cursor is None:
        rows = await db.fetch_all(FIRST, {"fetched": query.limit + 1})
    else:
        rank, identity = decode_cursor(query.cursor, (int, int))
        rows = await db.fetch_all(NEXT, {"fetched": query.limit + 1, "rank": rank, "id": identity})
    return page_of([Entry(**row) for row in rows], query.limit, key=lambda entry: (entry.rank, entry.id))


async def add(db: Database, numbers: Sequence[int]) -> None:
    for number in numbers:  # few ranks, so that many rows share one
        await db.execute(ranked.insert().values(id=number, rank=number * 7 % 5))


@pytest.mark.parametrize("seed", range(3))
async def test_each_lasting_row_is_seen_once_while_others_come_and_go(db: Database, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  (no secret)
    await db.execute(CreateTable(ranked))
    lasting, passing, coming = [chance.sample(range(n, 3000, 3), 60) for n in range(3)]
    await add(db, lasting + passing)
    seen: list[int] = []
    query = PageQuery(limit=7)

    while True:
        page = await select_page(db, query)
        seen += [entry.id for entry in page.items]
        if page.next_cursor is None:
            break
        query = PageQuery(limit=7, cursor=page.next_cursor)
        # The row of the cursor itself among them, at times.
        gone = [each for each in passing if each == page.items[-1].id or chance.random() < 0.2]
        passing = [each for each in passing if each not in gone]
        for each in gone:
            await db.execute(ranked.delete().where(ranked.c.id == each))
        await add(db, [coming.pop() for _ in range(min(3, len(coming)))])

    assert len(seen) == len(set(seen))
    assert set(lasting) <= set(seen)


async def test_numbered_pages_would_skip_rows(db: Database) -> None:
    """The control: the usual OFFSET, when a row on an earlier page goes away."""
    await db.execute(CreateTable(ranked))
    await add(db, range(10))
    ordered = select(ranked.c.id).order_by(ranked.c.id).limit(5)

    first = await db.fetch_all(ordered)
    await db.execute(ranked.delete().where(ranked.c.id == 0))
    second = await db.fetch_all(ordered.offset(5))

    assert [row["id"] for row in (*first, *second)] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


async def test_a_route_takes_limit_and_cursor_and_refuses_bad_ones(application: Application, serving: Serving) -> None:
    @application.get("/numbers")
    @endpoint(PUBLIC, answers={200: Page[int]})
    async def numbers(query: PageQuery) -> Page[int]:
        (after,) = decode_cursor(query.cursor, (int,)) if query.cursor else (0,)
        return page_of(range(after + 1, after + query.limit + 2), query.limit, key=lambda number: (number,))

    async with serving(application) as client:
        first = await client.get("/numbers")
        second = await client.get("/numbers", params={"limit": 2, "cursor": first.json()["next_cursor"]})
        wrong = await client.get("/numbers", params={"limit": 101, "cursor": "x"})
        made_up = await client.get("/numbers", params={"cursor": "x"})

    assert first.json()["items"] == [*range(1, 51)]
    assert second.json() == asdict(Page([51, 52], encode_cursor((52,))))
    assert (wrong.status_code, wrong.json()["details"]) == (400, {"limit": ["must be at most 100"]})
    assert (made_up.status_code, made_up.json()["details"]) == (400, REFUSED)


@pytest.fixture
def application() -> Application:
    return Application("app", request_timeout=20, lifecycle=Lifecycle())
