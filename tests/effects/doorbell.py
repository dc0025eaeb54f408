"""A server without a database: it notes how it was called, and hangs up."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

EVERYWHERE = "0.0.0.0"
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")  # what a client that wants TLS sends first


@dataclass(frozen=True)
class Call:
    """The address that was dialled, and the first eight bytes that were said."""

    host: str
    port: int
    first: bytes


@dataclass(frozen=True)
class Doorbell:
    """`calls` are all that came so far."""

    port: int
    calls: list[Call] = field(default_factory=list)


@asynccontextmanager
async def doorbell(port: int = 0) -> AsyncIterator[Doorbell]:
    """Listen on every address of this machine; port 0 takes any free one."""

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            host, port = writer.get_extra_info("sockname")
            bell.calls.append(Call(host, port, await reader.readexactly(8)))
        writer.transport.abort()

    server = await asyncio.start_server(answer, EVERYWHERE, port)
    bell = Doorbell(server.sockets[0].getsockname()[1])
    try:
        yield bell
    finally:
        server.close()
