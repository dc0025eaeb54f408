"""How a new connection is made: with JSON decoded once, by orjson, in every way a row is read."""

from __future__ import annotations

import asyncio

import asyncpg
import orjson

from app.core.database.driver import RawConnection
from app.core.database.rows import Value
from app.core.json import dumps

# The binary form of jsonb is this version number and then the text.
_VERSION = b"\x01"


def _encode_jsonb(value: object) -> bytes:
    return _VERSION + dumps(value)


def _decode_jsonb(data: bytes) -> Value:
    return orjson.loads(data[1:])


async def connect(*args: Value, timeout: float, **options: Value) -> RawConnection:  # noqa: ASYNC109  (asyncpg's own signature)
    """Open one connection within `timeout` seconds, all of its set-up included.

    Not asyncpg's `init` hook: when that is cut off, asyncpg waits without limit for a polite good-bye.
    """
    async with asyncio.timeout(timeout):
        raw = await asyncpg.connect(*args, timeout=timeout, **options)
        try:
            await _set_codecs(raw)
        except BaseException:
            raw.terminate()
            raise
        return raw


async def _set_codecs(raw: RawConnection) -> None:
    await raw.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_encode_jsonb, decoder=_decode_jsonb
    )
    await raw.set_type_codec("json", schema="pg_catalog", format="binary", encoder=dumps, decoder=orjson.loads)
