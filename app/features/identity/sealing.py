"""Seals ids so that only this service can have given them out, and encrypts what it must read again."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from app.core.settings import Secret

if TYPE_CHECKING:  # imported where something is encrypted
    from cryptography.fernet import MultiFernet

ID = 16  # bytes
# 48 bytes are 64 characters without padding, and each of them counts: no second way to write the same token, and
# nothing for the decoder to skip over.
FORM = re.compile(r"[A-Za-z0-9_-]{64}")

ENCRYPTION = b"plinth/identity/encryption"
SEAL = b"plinth/identity/seal/"


class Section(Protocol):
    """A section of the settings with a secret that can be changed: `session`, `jwt`."""

    @property
    def secret(self) -> Secret: ...

    @property
    def previous_secret(self) -> Secret: ...


class Undecipherable(Exception):
    """It was not encrypted with a secret that is in force, or was changed since."""


def secrets_in_force(section: Section) -> tuple[Secret, ...]:
    """The present one first; what it seals, the previous one is only read with."""
    return (section.secret, section.previous_secret) if section.previous_secret else (section.secret,)


def seal(secret: Secret, purpose: str, id_: UUID) -> str:
    """The id and its HMAC-SHA256, 64 characters that need no escaping in a URL. It is not hidden, and ends never."""
    return urlsafe_b64encode(id_.bytes + _mac(secret, purpose, id_.bytes)).decode()


def unseal(secrets: Sequence[Secret], purpose: str, text: str) -> UUID | None:
    """The id that one of the secrets sealed for this purpose; None for anything else."""
    if not FORM.fullmatch(text):
        return None
    sealed = urlsafe_b64decode(text)
    id_, mac = sealed[:ID], sealed[ID:]
    # A list, so that all are asked: time does not tell which secret it was.
    fits = [hmac.compare_digest(mac, _mac(secret, purpose, id_)) for secret in secrets]
    return UUID(bytes=id_) if any(fits) else None


def encrypt(section: Section, plain: bytes) -> bytes:
    """Encrypted and authenticated with the present secret (Fernet: AES-128-CBC, HMAC-SHA256)."""
    # MultiFernet encrypts with its first.
    return _fernet(section).encrypt(plain)


def decrypt(section: Section, sealed: bytes) -> bytes:
    """What was encrypted with a secret in force. Raises `Undecipherable`."""
    from cryptography.fernet import InvalidToken  # noqa: PLC0415  (see below)

    try:
        return _fernet(section).decrypt(sealed)
    except InvalidToken:
        raise Undecipherable from None


def _mac(secret: Secret, purpose: str, message: bytes) -> bytes:
    """A key for each purpose: what was given out to verify an address can't reset a password."""
    key = hmac.digest(secret.reveal().encode(), SEAL + purpose.encode(), "sha256")
    return hmac.digest(key, message, "sha256")


def _fernet(section: Section) -> MultiFernet:
    # It costs some 30 ms of a start, and only second factors need it.
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

    return MultiFernet([Fernet(_fernet_key(secret)) for secret in secrets_in_force(section)])


def _fernet_key(secret: Secret) -> bytes:
    """A key of its own, so that what seals never encrypts (RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=ENCRYPTION).derive
    return urlsafe_b64encode(derive(secret.reveal().encode()))
