"""Handshakes of WebSockets, byte by byte: with any header, as often as an attacker likes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

Header = tuple[str, str]

# The example of RFC 6455, 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@dataclass(frozen=True)
class Answer:
    """What came first; of 101, the connection stays open as long as `reader` and `writer` are."""

    status: int
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of an error; nothing for an accepted handshake."""
        return str(self.json()["code"]) if self.body else ""


def place_of(client: httpx.AsyncClient) -> tuple[str, int]:
    return client.base_url.host, client.base_url.port or 80


def head(place: tuple[str, int], path: str, *headers: Header) -> bytes:
    """A whole handshake; a `Host` among the headers stands for the usual one."""
    lines = [f"GET {path} HTTP/1.1"]
    if not any(name.lower() == "host" for name, _ in headers):
        lines.append(f"Host: {place[0]}:{place[1]}")
    lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin1")


async def send_handshake(
    place: tuple[str, int], path: str, *headers: Header
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask, and leave the answer to the caller."""
    reader, writer = await asyncio.open_connection(*place)
    writer.write(head(place, path, *headers))
    await writer.drain()
    return reader, writer


@asynccontextmanager
async def handshake(place: tuple[str, int], path: str, *headers: Header) -> AsyncIterator[Answer]:
    """Ask for a socket; it is dropped at the end of the block."""
    reader, writer = await send_handshake(place, path, *headers)
    try:
        yield await read_answer(reader, writer)
    finally:
        writer.transport.abort()


async def answer_to(place: tuple[str, int], path: str, *headers: Header) -> Answer:
    async with handshake(place, path, *headers) as answer:
        return answer


async def read_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    async with asyncio.timeout(30):
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(first.split()[1]), headers, body, reader, writer)
