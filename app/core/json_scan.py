"""A slower, exact look at JSON that the quick reader had doubts about: duplicate keys, and whole numbers it rounds."""

from __future__ import annotations

import re

import orjson

# In valid JSON a string before a colon is a key. What these do not match decides nothing here.
TOKEN = re.compile(
    rb'(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")(?P<key>[ \t\n\r]*:)?'
    rb"|(?P<open>\{)|(?P<close>\})"
    rb"|(?P<number>-?[0-9]+)(?P<real>[.eE][0-9.eE+-]*)?",
    re.DOTALL,
)
SMALLEST, LARGEST = -(2**63), 2**64 - 1  # what fits 64 bits, with a sign or without


def first_doubt(data: bytes) -> str | None:
    """What is doubtful first in `data`, which must be valid JSON, and where; None if all is well."""
    objects: list[set[bytes]] = []
    for token in TOKEN.finditer(data):
        match token.lastgroup:
            case "open":
                objects.append(set())
            case "close":
                objects.pop()
            case "key":
                key = _plain(token["string"])
                if key in objects[-1]:
                    return f"an object has the same key twice at {place(data, token.start())}"
                objects[-1].add(key)
            case "number" if not _fits(token["number"]):
                return f"a whole number does not fit 64 bits at {place(data, token.start())}"
            case _:
                pass
    return None


def _plain(string: bytes) -> bytes:
    """A key as it is compared, whatever of it was escaped."""
    return orjson.dumps(orjson.loads(string)) if b"\\" in string else string


def _fits(number: bytes) -> bool:
    return len(number) <= len("18446744073709551615") and SMALLEST <= int(number) <= LARGEST


def place(data: bytes, position: int) -> str:
    """Line and column of a byte, counted from one as editors do."""
    line = data.count(b"\n", 0, position) + 1
    start = data.rfind(b"\n", 0, position) + 1
    return f"line {line}, column {len(data[start:position].decode(errors='replace')) + 1}"
