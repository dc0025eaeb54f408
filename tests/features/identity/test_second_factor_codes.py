"""Codes of apps and recovery codes, as they are made and as people type them."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from app.features.identity.recovery_codes import new_recovery_codes, recovery_code_hash
from app.features.identity.totp import enrolment_uri, new_secret, step_of

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238, appendix B, for SHA-1: the last six of its eight digits.
RFC_CODES = [
    (59, "287082"),
    (1_111_111_109, "081804"),
    (1_111_111_111, "050471"),
    (1_234_567_890, "005924"),
    (2_000_000_000, "279037"),
    (20_000_000_000, "353130"),
]


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(("seconds", "code"), RFC_CODES)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    step = step_of(RFC_SECRET, code, at(seconds))

    assert step == seconds // 30


@pytest.mark.parametrize(("off", "is_right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_off_by_one_step(off: int, is_right: bool) -> None:
    noon = at(1_234_567_890)

    step = step_of(RFC_SECRET, "005924", noon + timedelta(seconds=off))

    assert step == (1_234_567_890 // 30 if is_right else None)


@pytest.mark.parametrize("typed", ["005 924", " 005924\n", "0 0 5 9 2 4"])
def test_spaces_of_a_code_mean_nothing(typed: str) -> None:
    assert step_of(RFC_SECRET, typed, at(1_234_567_890)) is not None


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "5924",
        "5924.0",
        "0005924",
        "005925",
        "+05924",
        "٠٠٥٩٢٤",
        "\uff10\uff10\uff15\uff19\uff12\uff14",
        "\ud800" * 6,
    ],
)
def test_what_only_looks_like_the_code_is_none(typed: str) -> None:
    """`int()` would take half of these for the same number."""
    assert step_of(RFC_SECRET, typed, at(1_234_567_890)) is None


def test_an_app_is_told_all_that_it_needs() -> None:
    secret = new_secret()

    uri = urlsplit(enrolment_uri(secret, account="ada+tag@example.org", issuer="Our service"))

    told = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Our service:ada+tag@example.org"
    assert (told["secret"], told["issuer"]) == (secret, "Our service")
    assert len(base64.b32decode(secret)) == 20


def test_recovery_codes_have_120_random_bits_in_groups() -> None:
    codes = new_recovery_codes() + new_recovery_codes()

    plain = [base64.b32decode(code.replace("-", "")) for code in codes]

    assert len(set(plain)) == 20
    assert {len(each) for each in plain} == {15}
    assert all(re.fullmatch(r"[A-Z2-7]{6}(-[A-Z2-7]{6}){3}", code) for code in codes)


def test_a_recovery_code_is_read_however_it_is_typed() -> None:
    code = new_recovery_codes()[0]
    typed = [code.lower(), code.replace("-", ""), code.replace("-", " "), f"  {code}\n", "-".join(code)]

    hashes = {recovery_code_hash(each) for each in typed}

    assert hashes == {recovery_code_hash(code)}
    assert None not in hashes


@pytest.mark.parametrize("typed", ["", "287082", "Q7ZA-K2MT-PD4X", "Q7ZA-K2MT-PD4X-WE6H-AAAA"])
def test_what_has_another_length_is_no_recovery_code(typed: str) -> None:
    assert recovery_code_hash(typed) is None
