"""Tasks and events as values: what can be declared, what can be given, and what comes back out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import json
from app.core.queue import Event, Priority, Task, WrongPayload
from tests.core.queue.asked import GREET, GREETED, Greeting


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass(frozen=True)
class Inner:
    id: UUID
    price: Decimal
    nothing: None = None


@dataclass(frozen=True)
class Everything:
    """One field of each kind that a payload may have."""

    id: UUID
    at: datetime
    on: date
    price: Decimal
    ratio: float
    count: int
    text: str
    raw: bytes
    yes: bool
    colour: Colour
    size: Size
    inner: Inner
    wait: timedelta
    maybe: Inner | None = None
    maybe_text: str | None = None
    tags: tuple[str, ...] = ()
    inners: list[Inner] = field(default_factory=list)
    by_name: dict[str, int] = field(default_factory=dict)
    by_number: dict[int, Inner] = field(default_factory=dict)
    colours: frozenset[Colour] = frozenset()


EVERYTHING = Task("test.everything", Everything)

# JSON holds no lone surrogates and JSONB no NUL; integers of more than 64 bits are looked at below.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
whole = st.integers(-(2**63), 2**63 - 1)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
inner = st.builds(Inner, st.uuids(), decimals, st.none())
times = st.datetimes(timezones=st.just(UTC)) | st.datetimes()
everything = st.builds(
    Everything,
    id=st.uuids(),
    at=times,
    on=st.dates(),
    price=decimals,
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    count=whole,
    text=texts,
    raw=st.binary(),
    yes=st.booleans(),
    colour=st.sampled_from(Colour),
    size=st.sampled_from(Size),
    inner=inner,
    wait=st.timedeltas(timedelta(days=-999), timedelta(days=999)),
    maybe=st.none() | inner,
    maybe_text=st.none() | texts,
    tags=st.lists(texts).map(tuple),
    inners=st.lists(inner),
    by_name=st.dictionaries(texts, whole),
    by_number=st.dictionaries(whole, inner),
    colours=st.frozensets(st.sampled_from(Colour)),
)


@given(everything)
@settings(max_examples=200, deadline=None)
def test_a_payload_comes_back_as_it_was_given(payload: Everything) -> None:
    stored = orjson.loads(json.dumps(EVERYTHING.encode(payload)))  # as the column's codec writes and reads it

    assert EVERYTHING.decode(stored) == payload


@dataclass(frozen=True)
class Amount:
    """A number that may be too much."""

    count: int = 0
    ratio: float = 0.0


@pytest.mark.parametrize("count", [-(2**63) - 1, 2**64, 2**70 + 1, -(10**30)])
def test_a_number_that_json_would_round_is_refused_where_it_is_asked_for(count: int) -> None:
    with pytest.raises(json.NotJson):
        Task("test.amount", Amount).encode(Amount(count))


@pytest.mark.parametrize("ratio", [math.nan, math.inf, -math.inf])
def test_a_float_that_json_can_not_say_is_told_at_the_latest_when_it_is_read(ratio: float) -> None:
    amount = Task("test.amount", Amount)

    with pytest.raises(ValueError, match=r".+"):
        amount.decode(orjson.loads(json.dumps(amount.encode(Amount(ratio=ratio)))))


@dataclass(frozen=True)
class Another:
    name: str


@dataclass(frozen=True)
class Politer(Greeting):
    """A subclass: its own fields would be lost."""

    title: str = "Ms"


@pytest.mark.parametrize("given_", [Another("Ada"), Politer("Ada"), {"name": "Ada"}, None, "Ada"])
def test_another_class_than_the_declared_one_is_refused(given_: Any) -> None:
    with pytest.raises(TypeError, match=r"test\.greet takes Greeting, not "):
        GREET.encode(given_)
    with pytest.raises(TypeError, match=r"test\.greeted takes Greeting, not "):
        GREETED.encode(given_)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"name": None},
        {"name": 5},
        {"name": "Ada", "times": "2"},
        {"name": "Ada", "times": 1.5},
        [],
        None,
        "Ada",
    ],
)
def test_what_another_version_has_stored_is_told_as_a_wrong_payload(stored: object) -> None:
    for declared in (GREET, GREETED):
        with pytest.raises(WrongPayload, match="written by another version of it"):
            declared.decode(stored)


def test_a_field_that_is_gone_is_passed_over_and_a_new_one_has_its_default() -> None:
    assert GREET.decode({"name": "Ada", "language": "fr"}) == Greeting("Ada", times=1)


@dataclass
class Mutable:
    name: str


class NoDataclass:
    pass


@pytest.mark.parametrize("payload", [Mutable, NoDataclass, dict, str, Greeting("a value, no class")])
def test_a_payload_is_a_frozen_dataclass(payload: Any) -> None:
    with pytest.raises(TypeError, match=r"test\.x: the payload is a frozen dataclass, not"):
        Task("test.x", payload)
    with pytest.raises(TypeError, match=r"test\.x: the payload is a frozen dataclass, not"):
        Event("test.x", payload, aggregate="x")


@pytest.mark.parametrize("name", ["a", "notes.send_reminder", "a.b.c", "a1.b_2", "x" * 100])
def test_names_are_words_joined_by_dots(name: str) -> None:
    assert Task(name, Greeting).name == Event(name, Greeting, aggregate="x").name == name


@pytest.mark.parametrize("name", ["", "A", "a b", "a..b", ".a", "a.", "1a", "a-b", "a:b", "a\n", "ä", "x" * 101])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        Task(name, Greeting)
    with pytest.raises(ValueError, match="is no name"):
        Event(name, Greeting, aggregate="x")
    with pytest.raises(ValueError, match="is no name"):
        Event("x", Greeting, aggregate=name)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timeout": 0}, "test.x: timeout is 0; it takes seconds above 0"),
        ({"timeout": -1.5}, "test.x: timeout is -1.5; it takes seconds above 0"),
        ({"retries": -1}, "test.x: retries is -1; it takes 0 or more"),
        ({"concurrency": 0}, "test.x: concurrency is 0; it takes 1 or more, or None for no limit"),
    ],
)
def test_what_can_not_be_meant_is_refused_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        Task("test.x", Greeting, **options)

    assert str(refused.value) == sentence


def test_high_priorities_come_before_low_ones() -> None:
    assert sorted(Priority, reverse=True) == [Priority.HIGH, Priority.NORMAL, Priority.LOW]
