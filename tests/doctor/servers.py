"""Small real servers that sit where something else is expected."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SSL_REQUEST_LENGTH = 8


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """The port of a server that treats each connection with `handler`; it ends with the block."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def saying(greeting: bytes) -> Handler:
    """Waits for the first bytes, says its greeting whatever they were, and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(greeting)
        writer.close()

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads to the end and never answers."""
    await reader.read()
    writer.close()


def postgres_of_old(version: str) -> Handler:
    """Speaks PostgreSQL's protocol (version 3) up to the point where it is ready for a query."""
    parameter = b"server_version\0" + version.encode() + b"\0"
    return _after_startup(_message(b"R", struct.pack("!i", 0)) + _message(b"S", parameter) + _message(b"Z", b"I"))


def postgres_refusing(sqlstate: str, sentence: str) -> Handler:
    """Speaks PostgreSQL's protocol and ends the sign-in with an error."""
    fields = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0M" + sentence.encode() + b"\0\0"
    return _after_startup(_message(b"E", fields))


def redis_of_old(version: str) -> Handler:
    """Answers PING and INFO as a Redis of that version."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = f"redis_version:{version}\r\nrole:master\r\n"
        while command := await _redis_command(reader):
            writer.write(f"${len(info)}\r\n{info}\r\n".encode() if command[0] == b"INFO" else b"+PONG\r\n")
        writer.close()

    return handle


async def _redis_command(reader: asyncio.StreamReader) -> list[bytes]:
    """One array of strings (RESP 2); empty at the end. A client may send several at once."""
    count = (await reader.readline())[1:]
    words = []
    for _ in range(int(count or 0)):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _after_startup(answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while packet := await _startup_packet(reader):
            writer.write(b"N" if len(packet) + 4 == SSL_REQUEST_LENGTH else answer)
        writer.close()

    return handle


async def _startup_packet(reader: asyncio.StreamReader) -> bytes:
    """What a client sends before it is let in; nothing when it leaves, or says anything else (a query's letter)."""
    head = await reader.read(4)
    if len(head) < 4 or head[0] != 0:
        return b""
    return await reader.readexactly(struct.unpack("!i", head)[0] - 4)
