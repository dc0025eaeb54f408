"""What is written in one turn leaves together, and a connection that was written to can be closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from app.server.gathered import MOST_HELD, Gathered

WITHIN = 20.0  # seconds; a busy machine
ENDS_WITH_NOTHING = (b"head", b"body", b"")
SLOW = (b"x" * MOST_HELD,) * 1000  # more than the system takes off our hands


def gathered(transport: asyncio.WriteTransport, pieces: Sequence[bytes]) -> None:
    held = Gathered(transport, asyncio.get_running_loop())
    for each in pieces:
        held.write(each)
    held.flush()


class Peer(asyncio.Protocol):
    """The server's end of a connection: writes when it is made, and closes it."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.paused = False
        self.lost = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        gathered(self.transport, self.pieces)
        self.transport.close()

    def pause_writing(self) -> None:
        self.paused = True

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()


async def answered(pieces: Sequence[bytes]) -> tuple[bytes, bool]:
    """What a client reads to the end of the connection, and whether the writer was told to wait."""
    peer = Peer(pieces)
    server = await asyncio.get_running_loop().create_server(lambda: peer, "127.0.0.1")
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(WITHIN):
            return await reader.read(), peer.paused
    finally:
        server.close()
        if not peer.lost.is_set():
            peer.transport.abort()
        await peer.lost.wait()
        writer.close()
        await writer.wait_closed()


def on_asyncio(pieces: Sequence[bytes]) -> tuple[bytes, bool]:
    """Its own loop, whatever the other tests run on: with its transport's `writelines` both tests of it fail."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(answered(pieces))


def test_a_connection_ends_after_an_empty_piece() -> None:
    assert on_asyncio(ENDS_WITH_NOTHING) == (b"headbody", False)


def test_whoever_writes_to_a_slow_reader_is_told() -> None:
    assert on_asyncio(SLOW) == (b"".join(SLOW), True)


class Transport(asyncio.WriteTransport):
    """Keeps what it is given at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.given.append(bytes(data))

    def is_closing(self) -> bool:
        return False


async def test_a_turn_is_one_write() -> None:
    transport = Transport()
    gathered = Gathered(transport, asyncio.get_running_loop())

    gathered.write(b"head")
    gathered.write(b"body")
    await asyncio.sleep(0)
    gathered.write(b"more")
    await asyncio.sleep(0)

    assert transport.given == [b"headbody", b"more"]


async def test_much_is_not_held() -> None:
    transport = Transport()
    gathered = Gathered(transport, asyncio.get_running_loop())

    gathered.write(b"x" * (MOST_HELD + 1))

    assert transport.given == [b"x" * (MOST_HELD + 1)]
