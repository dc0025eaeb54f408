"""JSON as every part of the service writes it: through orjson, with dates as RFC 3339 and UUIDs as text."""

from __future__ import annotations

from uuid import UUID

import orjson


def dumps(value: object) -> bytes:
    """Raises `TypeError` on what has no form in JSON; NaN becomes null."""
    return orjson.dumps(value, default=_text)


def _text(value: object) -> str:
    # asyncpg gives a subclass of its own for speed, and orjson takes the exact class only.
    if isinstance(value, UUID):
        return str(value)
    raise TypeError  # orjson names the type
