"""Bodies and query strings become dataclasses, or the client is told all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import ValidationFailed
from app.core.json import dumps
from app.core.lifecycle import Lifecycle
from app.web import PUBLIC, Application, endpoint
from app.web.conversion import record
from app.web.faults import MOST_FAULTS, Faults
from tests.web.conftest import Serving

ID = UUID("01900000-0000-7000-8000-000000000001")
CANARY = "canary-9b1d"
ZONE = "must be a date and time with its zone, such as 2026-01-31T09:30:00Z"
DECIMAL = "must be a decimal number as text, such as 12.50"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Address:
    city: Annotated[str, msgspec.Meta(min_length=1, max_length=10)]
    zip: Annotated[str, msgspec.Meta(pattern="^[0-9]{5}$")] | None = None


@dataclass(frozen=True)
class Everything:
    text: str
    whole: int
    number: float
    yes: bool
    id: UUID
    at: datetime
    day: date
    price: Decimal
    size: Literal["s", "m"]
    colour: Colour
    maybe: int | None
    tags: list[str]
    address: Address
    labels: dict[str, int]
    score: Annotated[int, msgspec.Meta(ge=0, le=10)]
    others: list[Address] = field(default_factory=list)
    pairs: tuple[int, ...] = ()


GOOD: dict[str, Any] = {
    "text": "é",
    "whole": 1,
    "number": 1.5,
    "yes": True,
    "id": str(ID),
    "at": "2026-01-31T09:30:00+01:00",
    "day": "2026-01-31",
    "price": "12.50",
    "size": "m",
    "colour": "red",
    "maybe": None,
    "tags": ["a", "b"],
    "address": {"city": "Bern"},
    "labels": {"a": 1},
    "score": 10,
    "others": [{"city": "Rome", "zip": "00100"}],
    "pairs": [1, 2],
}


def wrong(kind: type[Any], value: object, *, lax: bool = False) -> dict[str, list[str]]:
    """What is wrong with a value, by field."""
    faults = Faults()
    try:
        record(kind, lax=lax)(value, "", faults)
    except ValidationFailed as error:
        return dict(error.details or {})
    return faults.found


def test_every_type_that_is_promised_is_read() -> None:
    faults = Faults()

    read = record(Everything, lax=False)(GOOD, "", faults)

    assert faults.found == {}
    assert read == Everything(
        text="é",
        whole=1,
        number=1.5,
        yes=True,
        id=ID,
        at=datetime(2026, 1, 31, 8, 30, tzinfo=UTC),
        day=date(2026, 1, 31),
        price=Decimal("12.50"),
        size="m",
        colour=Colour.RED,
        maybe=None,
        tags=["a", "b"],
        address=Address("Bern"),
        labels={"a": 1},
        score=10,
        others=[Address("Rome", "00100")],
        pairs=(1, 2),
    )


def test_every_missing_field_is_named() -> None:
    required = {each.name for each in fields(Everything)} - {"others", "pairs"}

    assert wrong(Everything, {}) == {name: ["is required"] for name in required}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": 1}, {"text": ["must be text"]}),
        ({"text": None}, {"text": ["must be text"]}),
        ({"whole": "1"}, {"whole": ["must be a whole number"]}),
        ({"whole": 1.5}, {"whole": ["must be a whole number"]}),
        ({"whole": True}, {"whole": ["must be a whole number"]}),
        ({"number": "1"}, {"number": ["must be a number"]}),
        ({"yes": 1}, {"yes": ["must be true or false"]}),
        ({"id": "x"}, {"id": ["must be a UUID"]}),
        ({"at": "2026-01-31T09:30:00"}, {"at": [ZONE]}),
        ({"at": 1}, {"at": [ZONE]}),
        ({"day": "2026-02-30"}, {"day": ["must be a date, such as 2026-01-31"]}),
        ({"price": 12.5}, {"price": [DECIMAL]}),
        ({"price": "NaN"}, {"price": [DECIMAL]}),
        ({"price": "1e999999"}, {"price": [DECIMAL]}),
        ({"size": "xl"}, {"size": ["must be one of: s, m"]}),
        ({"colour": "green"}, {"colour": ["must be one of: red, blue"]}),
        ({"maybe": "1"}, {"maybe": ["must be a whole number"]}),
        ({"tags": "a"}, {"tags": ["must be a list"]}),
        ({"tags": ["a", "b", 3, 4]}, {"tags[2]": ["must be text"], "tags[3]": ["must be text"]}),
        ({"address": None}, {"address": ["must be an object"]}),
        ({"address": {"city": ""}}, {"address.city": ["must have at least 1 character"]}),
        ({"address": {"city": "x" * 11}}, {"address.city": ["must have at most 10 characters"]}),
        ({"address": {"city": "x", "zip": "1"}}, {"address.zip": ["must match the pattern ^[0-9]{5}$"]}),
        ({"address": {"city": "x", "is_admin": 1}}, {"address.is_admin": ["is not known here"]}),
        ({"labels": {"a": "x"}}, {"labels.a": ["must be a whole number"]}),
        ({"score": -1}, {"score": ["must be at least 0"]}),
        ({"score": 11}, {"score": ["must be at most 10"]}),
        ({"others": [{}, 1]}, {"others[0].city": ["is required"], "others[1]": ["must be an object"]}),
        ({"pairs": [1, "2"]}, {"pairs[1]": ["must be a whole number"]}),
        ({"role": "admin"}, {"role": ["is not known here"]}),
        (
            {"text": 1, "address": {"zip": 1}, "extra": CANARY},
            {
                "text": ["must be text"],
                "address.city": ["is required"],
                "address.zip": ["must be text"],
                "extra": ["is not known here"],
            },
        ),
    ],
)
def test_each_fault_has_its_path_and_a_sentence(changes: dict[str, object], expected: dict[str, list[str]]) -> None:
    assert wrong(Everything, {**GOOD, **changes}) == expected


@pytest.mark.parametrize("value", [None, 1, "text", [], [GOOD]])
def test_a_body_is_an_object(value: object) -> None:
    assert wrong(Everything, value) == {"": ["must be an object"]}


@dataclass(frozen=True)
class Span:
    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end == 0:
            raise ValueError("must not end at zero")
        if self.end < self.start:
            raise ValidationFailed({"end": ["must not be before the start"]})


@dataclass(frozen=True)
class Holder:
    span: Span


def test_what_only_fields_together_show_is_said_by_the_dataclass() -> None:
    assert wrong(Span, {"start": 0, "end": 0}) == {"": ["must not end at zero"]}
    assert wrong(Holder, {"span": {"start": 0, "end": 0}}) == {"span": ["must not end at zero"]}
    assert wrong(Holder, {"span": {"start": 2, "end": 1}}) == {"span.end": ["must not be before the start"]}


@dataclass(frozen=True)
class Tree:
    name: Annotated[str, msgspec.Meta(min_length=2)]
    children: Annotated[list[Tree], msgspec.Meta(max_length=2)] = field(default_factory=list)


def test_a_dataclass_may_be_part_of_itself() -> None:
    leaf: dict[str, Any] = {"name": "x"}

    assert wrong(Tree, {"name": "ok", "children": [{"name": "ok", "children": [leaf]}]}) == {
        "children[0].children[0].name": ["must have at least 2 characters"]
    }
    assert wrong(Tree, {"name": "ok", "children": [{"name": "ok"}] * 3}) == {
        "children": ["must have at most 2 entries"]
    }


def test_the_list_of_faults_has_an_end() -> None:
    many = wrong(Everything, {**GOOD, "tags": [1] * 100_000})
    named = wrong(Everything, {**GOOD, "x" * 100_000: 1})

    assert len(many) == MOST_FAULTS
    assert max(map(len, named)) == 64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats(allow_nan=False) | st.sampled_from(["red", CANARY]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["city", "zip", "a"]), inner),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.dictionaries(st.sampled_from([*GOOD]), JSON))
def test_whatever_is_read_is_what_the_schema_says_and_no_value_is_repeated(changes: dict[str, Any]) -> None:
    """msgspec, from which the schema comes, is the judge; it takes dates without a zone and rounded decimals, too."""
    value = {**GOOD, **changes}

    found = wrong(Everything, value)

    if not found:
        msgspec.convert(value, Everything)
    assert CANARY not in str(found)


@dataclass(frozen=True)
class Search:
    limit: Annotated[int, msgspec.Meta(ge=1)] = 50
    deep: bool = False
    near: float | None = None
    ids: list[UUID] = field(default_factory=list)
    since: datetime | None = None
    colour: Colour | None = None
    text: str | None = None


@pytest.fixture
def application() -> Application:
    app = Application("app", request_timeout=20, lifecycle=Lifecycle())

    @app.get("/search")
    @endpoint(PUBLIC)
    async def search(query: Search) -> Search:
        return query

    @app.post("/addresses")
    @endpoint(PUBLIC)
    async def address(body: Address) -> Address:
        return body

    return app


@pytest.mark.engines
async def test_a_query_string_is_read_as_what_it_spells(application: Application, serving: Serving) -> None:
    text = f"limit=7&deep=true&near=1.5&ids={ID}&ids={ID}&since=2026-01-31T09:30:00Z&colour=red&text=null"

    async with serving(application) as client:
        answer = await client.get(f"/search?{text}")
        none = await client.get("/search")

    assert answer.json() == {
        "limit": 7,
        "deep": True,
        "near": 1.5,
        "ids": [str(ID), str(ID)],
        "since": "2026-01-31T09:30:00+00:00",
        "colour": "red",
        "text": "null",
    }
    assert none.json() == orjson.loads(dumps(Search()))


@pytest.mark.engines
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limit=0", {"limit": ["must be at least 1"]}),
        ("limit=", {"limit": ["must be a whole number"]}),
        ("limit=1.5", {"limit": ["must be a whole number"]}),
        (f"limit={'9' * 30}", {"limit": ["must be a whole number"]}),
        ("deep=perhaps", {"deep": ["must be true or false"]}),
        ("near=nan", {"near": ["must be a number"]}),
        ("near=inf", {"near": ["must be a number"]}),
        ("ids=1&ids=2", {"ids[0]": ["must be a UUID"], "ids[1]": ["must be a UUID"]}),
        ("since=1769850000", {"since": [ZONE]}),
        ("colour=green", {"colour": ["must be one of: red, blue"]}),
        ("limit=1&limit=2", {"limit": ["is given more than once"]}),
        ("role=admin&limit=x", {"role": ["is not known here"], "limit": ["must be a whole number"]}),
    ],
)
async def test_a_wrong_query_string_is_400_with_every_fault(
    application: Application, serving: Serving, text: str, expected: dict[str, list[str]]
) -> None:
    async with serving(application) as client:
        answer = await client.get(f"/search?{text}")

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "Some values are missing or not allowed.",
        "code": "VALIDATION_ERROR",
        "details": expected,
    }


@pytest.mark.engines
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json; profile=x",
        "application/merge-patch+json",
    ],
)
async def test_json_by_any_of_its_names_is_read(application: Application, serving: Serving, kind: str) -> None:
    async with serving(application) as client:
        answer = await client.post("/addresses", content=b'{"city": "Bern"}', headers={"content-type": kind})

    assert (answer.status_code, answer.json()) == (200, {"city": "Bern", "zip": None})


@pytest.mark.engines
@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "text/json", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json"],
)
async def test_another_type_is_415(application: Application, serving: Serving, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}

    async with serving(application) as client:
        answer = await client.post("/addresses", content=b'{"city": "Bern"}', headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.engines
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b'{"city": "' + CANARY.encode(), "unexpected end of data at line 1, column 22"),
        (b'{"city": "a", "city": "b"}', "an object has the same key twice at line 1, column 15"),
        (b'{"city": "\xff"}', "it is not UTF-8 at line 1, column 11"),
    ],
)
async def test_what_is_not_json_is_400_with_the_reason(
    application: Application, serving: Serving, content: bytes, reason: str
) -> None:
    async with serving(application) as client:
        answer = await client.post("/addresses", content=content, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()) == (
        400,
        {"error": f"The body cannot be read as JSON: {reason}.", "code": "BAD_REQUEST"},
    )
