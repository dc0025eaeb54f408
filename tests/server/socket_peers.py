"""WebSocket clients of few words, many to a process, whose manners a test chooses: each may be deaf, mute or rude.

`python -m tests.server.socket_peers URL COUNT` opens so many and writes `open`; from then on they answer pings, and say
nothing else, until it is killed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

AT_ONCE = 50  # handshakes
PATIENCE = 30.0  # seconds for one of them
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(opcode: int, data: bytes = b"") -> bytes:
    """One whole frame of a client, masked with zeros, which leave its data as it is."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    return bytes([0x80 | opcode]) + length + bytes(4) + data


@dataclass(frozen=True)
class Closed:
    """What the server's close frame said, and when it came."""

    code: int
    reason: str
    at: float


class Peer(asyncio.Protocol):
    """One client; `on_text` is given every message as it comes."""

    transport: asyncio.Transport

    def __init__(
        self,
        request: bytes,
        *,
        on_text: Callable[[bytes], object] = len,
        pong_after: float | None = 0.0,
        answers_close: bool = True,
        hold_back: int = 0,
    ) -> None:
        """`pong_after` is in seconds, None for never; `hold_back` bytes of the request wait for `send_rest`."""
        self.request, self.rest = request[: len(request) - hold_back], request[len(request) - hold_back :]
        self.on_text = on_text
        self.pong_after = pong_after
        self.answers_close = answers_close
        self.status = 0  # of the answer to the handshake
        self.answered = asyncio.Event()
        self.pings = 0
        self.closed: Closed | None = None
        self.ended = asyncio.Event()
        self.error: Exception | None = None  # what ended the connection, where it was a reset
        self.writable = asyncio.Event()
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.writable.set()
        transport.write(self.request)

    def connection_lost(self, error: Exception | None) -> None:
        self.error = error
        self.answered.set()
        self.writable.set()
        self.ended.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.answered.is_set():
            self._read_head()
        if self.status == 101:
            self._read_frames()

    def _read_head(self) -> None:
        head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if end:
            self.status = int(head.split()[1])
            self._buffer = bytearray(rest)
            self.answered.set()

    def _read_frames(self) -> None:
        buffer, start = self._buffer, 0
        while (bounds := _bounds(buffer, start)) is not None:
            begin, end = bounds
            self._take(buffer[start] & 0x0F, bytes(buffer[begin:end]))
            start = end
        del buffer[:start]

    def _take(self, opcode: int, data: bytes) -> None:
        if opcode == TEXT:
            self.on_text(data)
        elif opcode == PING:
            self.pings += 1
            if self.pong_after is not None:
                asyncio.get_running_loop().call_later(self.pong_after, self.transport.write, frame(PONG, data))
        elif opcode == CLOSE:
            (code,) = struct.unpack("!H", data[:2])
            self.closed = Closed(code, data[2:].decode(), monotonic())
            if self.answers_close:
                self.transport.write(frame(CLOSE, data[:2]))

    @property
    def is_open(self) -> bool:
        return self.status == 101 and self.closed is None and not self.ended.is_set()

    def send(self, text: str) -> None:
        self.transport.write(frame(TEXT, text.encode()))

    def send_rest(self) -> None:
        self.transport.write(self.rest)

    def stop_reading(self) -> None:
        """What comes fills the kernel's buffers, and then the server's."""
        self.transport.pause_reading()

    async def flood(self) -> None:
        """Send as fast as the server takes it, whatever it says, to the end of the connection."""
        piece = frame(TEXT, b"x" * 100) * 100
        while not self.ended.is_set():
            self.transport.write(piece)
            await asyncio.sleep(0)
            await self.writable.wait()


def _bounds(buffer: bytearray, start: int) -> tuple[int, int] | None:
    """Where the data of the frame at `start` lies; None where it is not all there yet."""
    if len(buffer) < start + 2:
        return None
    size, begin = buffer[start + 1], start + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, begin = int.from_bytes(buffer[begin : begin + width], "big"), begin + width
    return (begin, begin + size) if len(buffer) >= begin + size else None


def handshake(host: str, path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


async def connect(url: str, path: str = "/test/listen", *, receive_buffer: int = 0, **manners: object) -> Peer:
    """A TCP connection with a request for a WebSocket on its way; a small `receive_buffer` (bytes) soon stalls."""
    parts = urlsplit(url)
    raw = socket.socket()
    raw.setblocking(False)
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    loop = asyncio.get_running_loop()
    request = handshake(parts.netloc, path)
    try:
        await loop.sock_connect(raw, (parts.hostname or "", parts.port or 0))
        _, peer = await loop.create_connection(lambda: Peer(request, **manners), sock=raw)  # type: ignore[arg-type]
    except BaseException:
        raw.close()
        raise
    return peer


async def open_peers(url: str, count: int, path: str = "/test/listen", **manners: object) -> list[Peer]:
    """So many sockets that the server has opened."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> Peer:
        async with places, asyncio.timeout(PATIENCE):
            peer = await connect(url, path, **manners)  # type: ignore[arg-type]
            await peer.answered.wait()
        assert peer.status == 101, f"refused with {peer.status}"
        return peer

    return await asyncio.gather(*(one() for _ in range(count)))


def leave(peers: list[Peer]) -> None:
    """Drop all connections without a goodbye."""
    for peer in peers:
        peer.transport.abort()


async def main(url: str, count: int) -> None:
    peers = await open_peers(url, count)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.gather(*(peer.ended.wait() for peer in peers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
