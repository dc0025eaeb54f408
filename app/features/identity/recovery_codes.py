"""Codes that stand in for a lost second factor: 80 random bits each, in base32, in groups that a person can copy."""

from __future__ import annotations

import base64
import hashlib
import secrets
import textwrap

AMOUNT = 10
LENGTH = 16  # characters: 80 bits, beyond guessing, so that a plain SHA-256 of them may be stored
GROUP = 4


def new_recovery_codes() -> list[str]:
    """As in `Q7ZA-K2MT-PD4X-WE6H`."""
    made = (base64.b32encode(secrets.token_bytes(LENGTH * 5 // 8)).decode() for _ in range(AMOUNT))
    return ["-".join(textwrap.wrap(each, GROUP)) for each in made]


def recovery_code_hash(text: str) -> bytes | None:
    """What is stored of it, however it was typed; None for what can be none."""
    plain = "".join(text.replace("-", "").split()).upper()
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest() if len(plain) == LENGTH else None
