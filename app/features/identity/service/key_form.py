"""The form of an API key: `pk_live_k3J9xQ2a_`, 43 characters of randomness, and 6 that check all before them.

Whoever finds one in a log or a repository sees what it is and where it opens something. What was mistyped or made up
is known from its last characters, without a question to the database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass

from app.core.settings import Environment

MARK = "pk_"
ALPHABET = string.digits + string.ascii_letters  # a double click selects all of it, and no address has to escape it
NAMED = 8  # characters that tell keys apart, for people
RANDOM = 43  # characters: 256 bits, so that one round of SHA-256 protects it as well as any slow hash would
CHECKED = 6  # characters: 32 bits
FORM = re.compile(rf"{MARK}(?:dev|test|live)_[0-9A-Za-z]{{{NAMED}}}_[0-9A-Za-z]{{{RANDOM + CHECKED}}}")

KINDS = {Environment.DEVELOPMENT: "dev", Environment.TESTING: "test", Environment.PRODUCTION: "live"}


@dataclass(frozen=True, repr=False)
class FreshKey:
    """A key that was just made; `text` is shown once, the rest is stored."""

    text: str
    prefix: str
    hash: bytes


def make_key(environment: Environment) -> FreshKey:
    prefix = f"{MARK}{KINDS[environment]}_{_random(NAMED)}"
    body = f"{prefix}_{_random(RANDOM)}"
    text = body + _check(body)
    return FreshKey(text, prefix, hash_of(text))


def is_marked(token: str) -> bool:
    """Whether it is meant to be a key: no other token of this service begins like one."""
    return token.startswith(MARK)


def is_well_formed(token: str) -> bool:
    return FORM.fullmatch(token) is not None and _check(token[:-CHECKED]) == token[-CHECKED:]


def hash_of(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _check(body: str) -> str:
    """CRC-32, which any scanner for secrets can compute."""
    left, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKED):
        left, digit = divmod(left, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
