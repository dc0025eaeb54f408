"""What the service writes as JSON, and what it takes for JSON."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.database import Database
from app.core.json import NotJson, dumps, loads

ID = UUID("01900000-0000-7000-8000-000000000001")

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
# JSON in UTF-8 has no lone surrogates.
TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=40,
)


async def test_an_id_from_the_database_is_text(db: Database) -> None:
    row = await db.fetch_existing("SELECT CAST(:id AS uuid) AS id", {"id": ID})

    assert type(row["id"]) is not UUID  # the driver's own class
    assert json.loads(dumps(dict(row))) == {"id": str(ID)}


async def test_an_id_from_the_database_can_be_stored_in_jsonb(db: Database) -> None:
    row = await db.fetch_existing("SELECT CAST(:id AS uuid) AS id", {"id": ID})

    assert await db.fetch_val("SELECT CAST(:payload AS jsonb)", {"payload": dict(row)}) == {"id": str(ID)}


def test_dates_are_rfc_3339() -> None:
    assert dumps(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == b'"2026-01-02T03:04:05+00:00"'


@pytest.mark.parametrize(("value", "text"), [("12.50", "12.50"), ("-1E+3", "-1000"), ("0E-10", "0.0000000000")])
def test_decimals_are_text_without_an_exponent(value: str, text: str) -> None:
    assert json.loads(dumps([Decimal(value)])) == [text]


def test_a_decimal_that_is_no_number_has_no_form_in_json() -> None:
    with pytest.raises(TypeError):
        dumps(Decimal("NaN"))


def test_what_has_no_form_in_json_is_named() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        dumps(object())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 0, 2]))
def test_what_python_writes_reads_back_equal(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    assert loads(text.encode()) == value


# Arbitrary bytes seldom come near JSON, so pieces of it are thrown together too.
PIECES = st.sampled_from(
    [
        *(b"{", b"}", b"[", b"]", b":", b",", b'"', b'"a"', b'"\\u0061"', b'"\\u003a"', b'":"', b"\\", b"\\ud800"),
        *(
            b"1",
            b"-",
            b"1e999",
            b"9" * 20,
            b"NaN",
            b"true",
            b" ",
            b"\n",
            b"\xff",
            b"\xef\xbb\xbf",
            b"[" * 70,
            b"]" * 70,
        ),
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary() | st.lists(PIECES, max_size=30).map(b"".join))
def test_any_bytes_are_read_or_refused_with_the_one_error(data: bytes) -> None:
    with suppress(NotJson):
        loads(data)


def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


KEYS = st.sampled_from(["a", "b", ":", '":', "\\", "a:b"])
WRITTEN = st.recursive(
    st.sampled_from(["1", '":"', '"\\u003a"', '"{"', "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(KEYS, st.booleans(), inner), max_size=3).map(
            lambda pairs: (
                f"{{{','.join(f'{_escaped(key) if hide else json.dumps(key)} : {v}' for key, hide, v in pairs)}}}"
            )
        )
    ),
    max_leaves=12,
)


def _escaped(key: str) -> str:
    return '"' + "".join(f"\\u{ord(character):04x}" for character in key) + '"'


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=WRITTEN)
def test_a_key_given_twice_is_found_wherever_it_hides_and_nothing_else(text: str) -> None:
    try:
        expected: Any = json.loads(text, object_pairs_hook=distinct)
    except ValueError:
        expected = NotJson

    try:
        read = loads(text.encode())
    except NotJson:
        read = NotJson

    assert read == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\xef\xbb\xbf{}", "UTF-8 byte order mark (BOM) is not supported at line 1, column 1"),
        (b'{"name":\n "caf\xe9"}', "it is not UTF-8 at line 2, column 6"),
        (b"[NaN]", "unexpected character, expected a JSON value at line 1, column 2"),
        (b"[-Infinity]", "no digit after sign at line 1, column 3"),
        (b"[1, 1e400]", "number is infinity when parsed as double at line 1, column 5"),
        (b"[18446744073709551616]", "a whole number does not fit 64 bits at line 1, column 2"),
        (b"[-9223372036854775809]", "a whole number does not fit 64 bits at line 1, column 2"),
        (b'["\\ud800"]', "no low surrogate in string at line 1, column 3"),
        (b"{} {}", "unexpected content after document at line 1, column 4"),
        (b'{"a": 1, "a": 2}', "an object has the same key twice at line 1, column 10"),
        (b'[{"b":\n{"a": 1, "\\u0061": ":"}}]', "an object has the same key twice at line 2, column 10"),
        (b"[" * 65 + b"]" * 65, "it is nested deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "it is nested deeper than 64 levels"),
        (b"[" * 100_000, "it is nested deeper than 64 levels"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, reason: str) -> None:
    with pytest.raises(NotJson) as refused:
        loads(data)

    assert str(refused.value) == reason
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("data", [b"[" * 64 + b"]" * 64, b'{"a":' * 64 + b"1" + b"}" * 64, b"[" + b"[]," * 99 + b"1]"])
def test_what_is_just_flat_enough_is_read(data: bytes) -> None:
    assert loads(data) == orjson.loads(data)


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 10**18 + 1, 0.1234567890123456])
def test_a_long_number_that_fits_is_exact(number: float) -> None:
    assert loads(json.dumps([number, "1" * 30]).encode()) == [number, "1" * 30]


def test_orjson_alone_takes_what_is_doubtful() -> None:
    """The control: were orjson to refuse these one day, the second look could go."""
    assert orjson.loads(b'{"a": 1, "a": 2}') == {"a": 2}
    assert type(orjson.loads(b"18446744073709551616")) is float
    assert orjson.loads(b"[" * 65 + b"]" * 65)
