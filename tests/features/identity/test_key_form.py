"""What an API key looks like, and what can be told from its looks alone."""

from __future__ import annotations

import re
import zlib

import pytest

from app.core.settings import Environment
from app.features.identity.service.key_form import ALPHABET, hash_of, is_well_formed, make_key

KNOWN = "pk_test_ABCDEFGH_" + "0" * 43


@pytest.mark.parametrize(
    ("environment", "mark"),
    [(Environment.DEVELOPMENT, "dev"), (Environment.TESTING, "test"), (Environment.PRODUCTION, "live")],
)
def test_a_key_says_what_it_is_and_where_it_belongs(environment: Environment, mark: str) -> None:
    key = make_key(environment)

    assert re.fullmatch(rf"pk_{mark}_[0-9A-Za-z]{{8}}_[0-9A-Za-z]{{49}}", key.text)
    assert key.prefix == key.text[: len(key.prefix)]
    assert len(key.text) - len(key.prefix) == 50, "the prefix holds nothing of the secret"
    assert key.hash == hash_of(key.text)
    assert is_well_formed(key.text)


def test_the_checksum_is_crc_32_as_any_scanner_computes_it() -> None:
    """In six digits of base 62, with 0-9 before a-z before A-Z."""
    value, digits = zlib.crc32(KNOWN.encode()), ""
    while value:
        value, digit = divmod(value, 62)
        digits = ALPHABET[digit] + digits

    assert is_well_formed(KNOWN + digits.rjust(6, "0"))


def test_every_single_typing_mistake_is_noticed() -> None:
    key = make_key(Environment.TESTING).text
    start = len("pk_test_")

    typos = [
        key[:at] + letter + key[at + 1 :] for at in range(start, len(key)) for letter in ALPHABET if letter != key[at]
    ]

    assert len(typos) == (len(key) - start - 1) * 61 + 62
    assert not any(map(is_well_formed, typos))


@pytest.mark.parametrize("change", ["{}\n", " {}", "{}0", "{}é", "P{}"])
def test_what_only_resembles_a_key_is_none(change: str) -> None:
    key = make_key(Environment.TESTING).text

    assert not is_well_formed(change.format(key))


def test_no_two_keys_are_alike_and_none_shows_itself() -> None:
    keys = [make_key(Environment.TESTING) for _ in range(200)]

    assert len({key.text for key in keys}) == len({key.prefix for key in keys}) == 200
    assert keys[0].text not in repr(keys[0])
