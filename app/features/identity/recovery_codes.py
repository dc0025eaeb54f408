"""Codes that stand in for a lost second factor: 120 random bits each, in base32, in groups that a person can copy."""

from __future__ import annotations

import base64
import hashlib
import secrets
import textwrap

AMOUNT = 10
LENGTH = 24  # characters: 120 bits; from 112 on a plain SHA-256 of them may be stored (ASVS 6.5.2)
GROUP = 6


def new_recovery_codes() -> list[str]:
    """As in `Q7ZAK2-MTPD4X-WE6HSL-3VBN5R`."""
    made = (base64.b32encode(secrets.token_bytes(LENGTH * 5 // 8)).decode() for _ in range(AMOUNT))
    return ["-".join(textwrap.wrap(each, GROUP)) for each in made]


def recovery_code_hash(text: str) -> bytes | None:
    """What is stored of it, however it was typed; None for what can be none."""
    plain = "".join(text.replace("-", "").split()).upper()
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest() if len(plain) == LENGTH else None
