"""Queries compiled once: their parameters by name, their registry, and what can't be fixed in advance."""

from __future__ import annotations

import enum

import pytest
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Enum,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    any_,
    bindparam,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.sql import ClauseElement

from app.core.database import Database, Statement, StatementError, check_statement, metadata, statements
from tests.core.database.tables import books, shelves


class Colour(enum.Enum):
    RED = "red"


things = Table(
    "things",
    MetaData(),
    Column("number", Integer),
    Column("price", Numeric),
    Column("sold", Boolean),
    Column("colour", Enum(Colour, name="colour")),
    Column("made_by", Text, default="us"),
)


def statement(expression: ClauseElement, name: str = "it") -> Statement:
    return Statement(expression, name=name, registry={})


def test_values_are_put_where_their_names_stand() -> None:
    by_label = statement(
        select(shelves.c.id).where(
            shelves.c.label == bindparam("label"), shelves.c.label != "fixed", shelves.c.label != bindparam("label")
        )
    )

    assert by_label.sql.count("$1") == 2
    assert by_label.plan.bind({"label": "a"}) == ["a", "fixed"]


def test_a_parameter_with_a_value_of_its_own_may_be_left_out() -> None:
    page = statement(select(shelves.c.id).limit(bindparam("limit", 50, Integer)))

    assert page.plan.bind({}) == [50]
    assert page.plan.bind({"limit": 5}) == [5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "missing: label, other"),
        ({"label": "a"}, "missing: other"),
        ({"label": "a", "lable": "b"}, "missing: other; unknown: lable"),
        ({"label": "a", "other": "b", "more": "c"}, "unknown: more"),
        ({"label": "a", "other": "b", "label_1": "c"}, "unknown: label_1"),
    ],
)
def test_wrong_parameters_are_named(values: dict[str, object], message: str) -> None:
    label = shelves.c.label
    two = statement(select(label).where(label == bindparam("label"), label != bindparam("other"), label != "x"))

    with pytest.raises(StatementError) as caught:
        two.plan.bind(values)

    assert str(caught.value) == f"wrong parameters ({message}); it takes: label, other"


def test_types_that_asyncpg_does_not_know_are_processed() -> None:
    by_colour = statement(select(things.c.number).where(things.c.colour == bindparam("colour")))

    assert by_colour.plan.bind({"colour": Colour.RED}) == ["RED"]
    assert statement(select(things.c.number).where(things.c.colour == Colour.RED)).plan.bind({}) == ["RED"]


def test_a_list_of_literals_is_fixed() -> None:
    fixed = statement(select(things.c.number).where(things.c.number.in_([1, 2]), things.c.price == bindparam("price")))

    assert sorted(map(str, fixed.plan.bind({"price": 5}))) == ["1", "2", "5"]


def test_a_list_given_later_is_refused_with_the_way_out() -> None:
    with pytest.raises(StatementError, match=r"column == any_\(bindparam\('numbers'"):
        _ = statement(select(things).where(things.c.number.in_(bindparam("numbers", expanding=True)))).plan

    listed = statement(select(things.c.number).where(things.c.number == any_(bindparam("n", type_=ARRAY(Integer)))))
    assert listed.plan.bind({"n": [1, 2]}) == [[1, 2]]


def test_a_default_in_python_is_refused_rather_than_stored_as_null() -> None:
    with pytest.raises(StatementError, match=r"things\.made_by has a default in Python"):
        _ = statement(insert(things).values(number=bindparam("number"))).plan

    given = statement(insert(things).values(number=bindparam("number"), made_by=bindparam("made_by")))
    assert given.plan.bind({"number": 1, "made_by": "me"}) == [1, "me"]


def test_two_statements_of_one_name_are_an_error() -> None:
    registry: dict[str, Statement] = {}
    first = Statement(select(shelves), name="same", registry=registry)

    with pytest.raises(StatementError, match="two statements with the name 'same'"):
        Statement(select(books), name="same", registry=registry)

    assert registry == {"same": first}


def test_the_registry_gives_them_by_name() -> None:
    names = [each.name for each in statements()]

    assert names == sorted(names)


async def test_a_right_statement_has_no_faults(shop: Database) -> None:
    right = [
        select(shelves).where(shelves.c.id == bindparam("id")).limit(bindparam("limit", type_=Integer)),
        insert(shelves).values(label=bindparam("label"), facts=bindparam("facts")).returning(shelves),
        update(shelves).where(shelves.c.label == any_(bindparam("labels", type_=ARRAY(Text)))).values(label="x"),
        select(books.c.title, shelves.c.created_at).join_from(books, shelves),
        text("SELECT label FROM shelves WHERE id = :id").columns(label=Text),
    ]

    assert [fault for each in right for fault in await faults(shop, each)] == []


old = MetaData()
old_shelves = Table(
    "shelves",
    old,
    Column("label", Integer),
    Column("facts", Text),
    Column("gone", Text),
    Column("created_at", Text),
)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        (select(old_shelves.c.gone), "it: column shelves.gone does not exist"),
        (select(old_shelves.c.facts), "it: column 'facts' is jsonb in the database, but declared text"),
        (select(old_shelves.c.label), "it: column 'label' is text in the database, but declared int4"),
        (
            insert(old_shelves).values(label=bindparam("label")),
            "it: parameter 'label' is text in the database, but declared int4",
        ),
        (
            select(old_shelves.c.created_at).where(old_shelves.c.created_at < bindparam("then", type_=Text)),
            "it: parameter 'then' is timestamptz in the database, but declared text",
        ),
        (text("SELECT id, label FROM shelves").columns(id=Text), "it: gives 2 columns, declared are 1"),
        (select(bindparam("n", type_=Text)), None),
    ],
)
async def test_a_statement_that_does_not_fit_the_schema_is_told(
    shop: Database, expression: ClauseElement, fault: str | None
) -> None:
    found = await faults(shop, expression)

    assert found[0].startswith(fault) if fault else found == [], found


async def faults(db: Database, expression: ClauseElement) -> list[str]:
    async with db.connection() as connection:
        return await check_statement(connection.raw_connection, statement(expression))


async def test_an_enum_of_the_database_is_known(shop: Database) -> None:
    await shop.execute("CREATE TYPE colour AS ENUM ('RED')")
    await shop.execute("CREATE TABLE things (number int2, price numeric, sold bool, colour colour, made_by text)")

    assert await faults(shop, select(things).where(things.c.colour == bindparam("colour"))) == []
    assert await faults(shop, insert(things).values(number=bindparam("n", type_=Integer), made_by="x")) == [
        "it: parameter 'n' is int2 in the database, but declared int4"
    ]


def test_constraints_get_their_names_from_the_convention() -> None:
    named = Table("parents", MetaData(naming_convention=metadata.naming_convention), Column("n", Integer, unique=True))

    assert {each.name for each in named.constraints if each.name} >= {"uq_parents_n"}
    assert {str(each.name) for table in (shelves, books) for each in table.constraints} == {
        "pk_shelves",
        "uq_shelves_label",
        "ck_shelves_label_not_empty",
        "pk_books",
        "fk_books_shelf_id_shelves",
    }
