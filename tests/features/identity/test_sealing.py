"""Seals that nobody else can make, for one purpose each; and what is encrypted."""

from __future__ import annotations

import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.settings import Secret
from app.core.settings.sections import Session
from app.features.identity.sealing import Undecipherable, decrypt, encrypt, seal, secrets_in_force, unseal

ids = st.uuids()
purposes = st.text(max_size=20)
secrets = st.text(string.printable, min_size=32, max_size=64).map(Secret)

NEW, OLD = Secret("n" * 32), Secret("o" * 32)
ID = UUID("0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")
SESSION = Session(secret=NEW)


@given(secrets, purposes, ids)
def test_what_is_sealed_is_unsealed(secret: Secret, purpose: str, id_: UUID) -> None:
    sealed = seal(secret, purpose, id_)

    assert unseal([secret], purpose, sealed) == id_
    assert len(sealed) == 64


@given(ids, st.integers(0, 48 * 8 - 1))
def test_a_flipped_bit_breaks_the_seal(id_: UUID, bit: int) -> None:
    sealed = bytearray(urlsafe_b64decode(seal(NEW, "reset", id_)))
    sealed[bit // 8] ^= 1 << bit % 8

    assert unseal([NEW], "reset", urlsafe_b64encode(sealed).decode()) is None


@given(st.integers(0, 63), st.characters())
def test_a_changed_character_breaks_the_seal(place: int, character: str) -> None:
    sealed = seal(NEW, "reset", ID)
    changed = sealed[:place] + character + sealed[place + 1 :]

    assert unseal([NEW], "reset", changed) == (ID if changed == sealed else None)


@given(secrets, secrets, purposes, purposes, ids)
def test_purposes_and_secrets_do_not_open_each_other(
    secret: Secret, other: Secret, purpose: str, another: str, id_: UUID
) -> None:
    sealed = seal(secret, purpose, id_)

    assert (unseal([other], purpose, sealed) is None) == (secret != other)
    assert (unseal([secret], another, sealed) is None) == (purpose != another)


@given(st.text(max_size=100))
def test_any_other_text_is_none(text: str) -> None:
    assert unseal([NEW], "reset", text) is None


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:10] + "!" + text[10:],
        lambda text: text[:10] + "\r\n" + text[10:],
        lambda text: text + "====",
        lambda text: text.replace("-", "+").replace("_", "/"),
        lambda text: "".join(chr(ord(each) + 0xFEE0) for each in text),  # full width
    ],
)
def test_there_is_one_way_to_write_a_seal(written: object) -> None:
    # An id whose seal has both of the characters that differ between the alphabets.
    sealed = next(sealed for n in range(1000) if {"-", "_"} <= set(sealed := seal(NEW, "reset", UUID(int=n))))
    assert callable(written)
    changed = written(sealed)

    assert unseal([NEW], "reset", changed) is None


def test_a_decoder_alone_would_take_other_spellings() -> None:
    """The control: why the form is looked at first."""
    sealed = seal(NEW, "reset", ID)

    assert urlsafe_b64decode(sealed[:10] + "!\r\n" + sealed[10:]) == urlsafe_b64decode(sealed)


def test_the_previous_secret_is_read_and_no_longer_written() -> None:
    changed = Session(secret=NEW, previous_secret=OLD)

    assert secrets_in_force(changed) == (NEW, OLD)
    assert unseal(secrets_in_force(changed), "reset", seal(OLD, "reset", ID)) == ID
    assert unseal(secrets_in_force(SESSION), "reset", seal(OLD, "reset", ID)) is None


@given(st.binary(max_size=200))
def test_what_is_encrypted_is_decrypted_and_not_shown(plain: bytes) -> None:
    sealed = encrypt(SESSION, plain)

    assert decrypt(SESSION, sealed) == plain
    assert len(plain) < 4 or plain not in urlsafe_b64decode(sealed)
    assert encrypt(SESSION, plain) != sealed


@given(st.data())
def test_a_flipped_bit_of_the_encrypted_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(urlsafe_b64decode(encrypt(SESSION, b"the secret of an authenticator")))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(Undecipherable):
        decrypt(SESSION, urlsafe_b64encode(sealed))


def test_a_change_of_the_secret_keeps_what_was_encrypted_before() -> None:
    sealed = encrypt(Session(secret=OLD), b"kept")
    changed = Session(secret=NEW, previous_secret=OLD)

    kept = decrypt(changed, sealed)
    written = encrypt(changed, kept)

    assert kept == b"kept"
    # Once all is written anew, the old secret is not needed.
    assert decrypt(replace(changed, previous_secret=Secret("")), written) == b"kept"
    with pytest.raises(Undecipherable):
        decrypt(SESSION, sealed)


def test_what_seals_does_not_encrypt() -> None:
    from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415  (as where it is used)

    sealed = encrypt(SESSION, b"kept")

    with pytest.raises(InvalidToken):
        Fernet(urlsafe_b64encode(NEW.reveal().encode())).decrypt(sealed)
