"""What answers in the place of an OpenID provider, and is none: one lie for each thing that must not be believed."""

from __future__ import annotations

import asyncio
import gzip
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.harness.openid import Key

OPENING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


@asynccontextmanager
async def lying_provider(lie: str, key: Key) -> AsyncIterator[tuple[str, list[str]]]:
    """Its address, and what was asked for at the place that it redirects to."""
    elsewhere: list[str] = []
    issuer = ""

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            if path == "/elsewhere":
                elsewhere.append(path)
            if lie == "endless":
                await _flow(writer)
            else:
                writer.write(_answer(lie, path, issuer, key))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield issuer, elsewhere
    finally:
        server.close()


async def _flow(writer: StreamWriter) -> None:
    """64 KiB after 64 KiB, until nobody reads any more."""
    writer.write(OPENING + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(CHUNK)
        await writer.drain()


def _answer(lie: str, path: str, issuer: str, key: Key) -> bytes:
    about = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
    keys = {"keys": [key.public_jwk]}
    document = about if "well-known" in path else keys
    truth = _with(json.dumps(document).encode())
    packed = gzip.compress(json.dumps(document).encode())
    lies = {
        "another issuer": _with(json.dumps({**document, "issuer": "https://id.example"}).encode()),
        "slash": _with(json.dumps({**document, "issuer": f"{issuer}/"}).encode()),
        "redirect": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        "huge": _with(json.dumps(document).encode() + b" " * 1_000_000),
        "no json": _with(b"<html>"),
        "deep json": _with(b"[" * 100_000),
        "a list": _with(b"[]"),
        "compressed": OPENING + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed,
        "no keys": _with(json.dumps({**about, "keys": {}}).encode()),
        "500": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    }
    return lies.get(lie, truth)


def _with(body: bytes) -> bytes:
    return OPENING + b"Content-Length: %d\r\n\r\n" % len(body) + body
