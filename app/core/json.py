"""JSON as every part of the service writes and reads it: through orjson, and leaving no doubt."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from app.core.json_scan import first_doubt, place

MAX_DEPTH = 64
TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
# orjson writes at most so many levels. So what is put below enough lists is written if it is flat enough, and found
# too deep at a fourth of the price of looking at each value.
WRITABLE_DEPTH = 254

DIGITS = bytes.maketrans(b"0123456789", b"0" * 10)
LONG_NUMBER = b"0" * 19  # the least that may not fit 64 bits, which orjson would round
ESCAPED_COLON = b"\\u003"


class NotJson(ValueError):
    """What was read is not JSON, or says different things to different readers; the message is for the sender.

    It says what is wrong and where, and repeats nothing of what was read.
    """


def dumps(value: object) -> bytes:
    """Raises `TypeError` on what has no form in JSON; NaN becomes null."""
    return orjson.dumps(value, default=_text)


def loads(data: bytes) -> Any:  # noqa: ANN401  (decoded JSON)
    """Read UTF-8 as RFC 8259 has it, and as I-JSON (RFC 7493) narrows it: no key twice, no number that would change.

    Raises `NotJson`, also for more than 64 levels.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        # Not as its cause: that holds the whole text.
        raise NotJson(_reason(data, error)) from None
    if _doubtful(data, value) and (doubt := first_doubt(data)):
        raise NotJson(doubt)
    return value


def _doubtful(data: bytes, value: object) -> bool:
    """Quick looks that let no duplicate key and no rounded number pass, but may be wrong the other way.

    A lost pair has lost its colon; an escaped colon could stand in for it.
    """
    if LONG_NUMBER in data.translate(DIGITS) or ESCAPED_COLON in data:
        return True
    nested = data.count(b"[") + data.count(b"{") > MAX_DEPTH
    written = orjson.dumps(value) if not nested else _written_if_flat(value)
    return written.count(b":") != data.count(b":")


def _written_if_flat(value: object) -> bytes:
    for _ in range(WRITABLE_DEPTH - MAX_DEPTH):
        value = [value]
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise NotJson(TOO_DEEP) from None


def _reason(data: bytes, error: orjson.JSONDecodeError) -> str:
    if not data.strip():
        return "it is empty"
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        return str(not_utf8(wrong))
    if "depth" in error.msg:
        return TOO_DEEP
    return f"{error.msg} at line {error.lineno}, column {error.colno}"


def not_utf8(error: UnicodeDecodeError) -> NotJson:
    """What a sender is told of text in another encoding."""
    return NotJson(f"it is not UTF-8 at {place(error.object, error.start)}")


def _text(value: object) -> str:
    # asyncpg gives a subclass of its own for speed, and orjson takes the exact class only.
    if isinstance(value, UUID):
        return str(value)
    # Text, because many readers would make a float of a number.
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    raise TypeError  # orjson names the type
