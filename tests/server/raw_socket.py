"""A WebSocket client that sends bytes as they are, and tells how the server took them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\0\0\0\0"  # leaves the data as it is

HEAD = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
)


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, size: int | None = None) -> bytes:
    """One frame of a client; `size` is what it says of its length, where that is not the truth."""
    first = opcode | (0x80 if fin else 0) | rsv << 4
    size = len(data) if size is None else size
    if size < 126:
        return bytes([first, 0x80 | size]) + MASK + data
    width, code = (2, 126) if size < 1 << 16 else (8, 127)
    return bytes([first, 0x80 | code]) + size.to_bytes(width) + MASK + data


def goodbye(code: int = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


@dataclass(frozen=True)
class End:
    """How a connection ended: the server's close frame (None without one, 0 for an empty one), or a reset."""

    code: int | None
    reason: str
    reset: bool
    seconds: float  # from the last word of ours


class RawSocket:
    """An open connection; `head` is the server's answer to the handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = ""

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def frame(self) -> tuple[int, bytes]:
        """The next one of the server's: its opcode and its data."""
        first, size = await self.reader.readexactly(2)
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
        return first & 0x0F, await self.reader.readexactly(size)

    async def text(self) -> str:
        opcode, data = await self.frame()
        assert opcode == TEXT, (opcode, data)
        return data.decode()

    async def end(self, *, within: float = 10.0) -> End:
        """Read to the end of the connection, saying nothing, and tell of it."""
        code, reason, reset, began = None, "", False, monotonic()
        async with asyncio.timeout(within):
            try:
                while True:
                    opcode, data = await self.frame()
                    if opcode == CLOSE:
                        code = int.from_bytes(data[:2])
                        reason = data[2:].decode()
            except asyncio.IncompleteReadError:
                pass
            except ConnectionError:
                reset = True
        return End(code, reason, reset, monotonic() - began)


@asynccontextmanager
async def raw_socket(url: str, path: str, extra: str = "", *, limit: int = 1 << 16) -> AsyncIterator[RawSocket]:
    """Open one; `extra` are more lines of the head, `limit` how many bytes are read ahead."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=limit)
    opened = RawSocket(reader, writer)
    try:
        writer.write(HEAD.format(path=path, host=parts.netloc, extra=extra).encode())
        opened.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        yield opened
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
