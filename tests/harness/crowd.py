"""Thousands of WebSocket clients in one process, each a few hundred bytes: for load, memory and the bench.

They speak just enough of RFC 6455: texts, pongs and close frames, with a server that compresses nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

AT_A_TIME = 100  # handshakes; more would measure the kernel's queue rather than the server
PATIENCE = 60.0  # seconds for anything that the crowd waits for
TEXT, CLOSE, PING = 1, 8, 9
HANDSHAKE = (
    "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
)
MASK = b"\x5a\xc3\x17\x8e"


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame, which is masked."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 65536:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2)
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + size.to_bytes(8)
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


class Client(asyncio.Protocol):
    """One of them; `ready` is done when it is in."""

    __slots__ = ("asked_at", "close_code", "crowd", "number", "ready", "rest", "transport", "upgraded")

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd, self.number = crowd, number
        self.rest = b""
        self.upgraded = False
        self.asked_at = 0.0
        self.close_code: int | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # no subclass of it on uvloop
        self.transport.write(self.crowd.handshake(self.number))

    def data_received(self, data: bytes) -> None:
        data = self.rest + data if self.rest else data
        if not self.upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.rest = head
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self._fail(ConnectionRefusedError(head.decode(errors="replace")))
                self.transport.abort()
                return
            self.upgraded = True
            self.transport.write(self.crowd.greeting)
        self._read(data)

    def _read(self, data: bytes) -> None:
        at, length = 0, len(data)
        while length - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(data[begin : begin + 2]), begin + 2
            elif size == 127:
                size, begin = int.from_bytes(data[begin : begin + 8]), begin + 8
            if begin + size > length:
                break
            self._take(data[at] & 0x0F, data[begin : begin + size])
            at = begin + size
        self.rest = data[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            if not self.ready.done() and self.crowd.ready in payload:
                self.ready.set_result(None)
            self.crowd.heard(self, payload)
        elif opcode == PING:
            self.transport.write(frame(payload, PING + 1))
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2]) if payload else 1005
            self.transport.write(frame(payload[:2], CLOSE))
            self.transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("closed before the first message"))
        self.crowd.gone(self)


def ignore(_: Client, __: bytes) -> None:
    """What a text does where nobody waits for one."""


class Crowd:
    """All of them. `heard` is called with each text; `closed` counts the close codes of those that have gone."""

    def __init__(
        self,
        url: str,
        path: str = "/ws",
        *,
        headers: Callable[[int], Mapping[str, str]] = lambda _: {},
        greeting: bytes = b"",
        ready: bytes = b"",
    ) -> None:
        """`headers` are those of the handshake of each client, by its number; `greeting` is what it sends first.

        It is in when it hears a text that holds `ready`.
        """
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.path, self.headers, self.greeting, self.ready = path, headers, greeting, ready
        self.heard: Callable[[Client, bytes], None] = ignore
        self.clients: list[Client] = []
        self.closed: Counter[int] = Counter()
        self._left: asyncio.Event | None = None
        self._open = 0

    def handshake(self, number: int) -> bytes:
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers(number).items())
        return HANDSHAKE.format(target=self.path, host=f"{self.host}:{self.port}", headers=headers).encode()

    async def join(self, count: int) -> float:
        """Open so many more; return the seconds until each was in. Raises what went wrong with one."""
        numbers = iter(range(len(self.clients), len(self.clients) + count))
        began = perf_counter()

        async def one_after_another() -> None:
            for number in numbers:
                await self._open_one(number)

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for _ in range(min(AT_A_TIME, count)):
                group.create_task(one_after_another())
        return perf_counter() - began

    async def _open_one(self, number: int) -> None:
        client = Client(self, number)
        await asyncio.get_running_loop().create_connection(lambda: client, self.host, self.port)
        self._open += 1
        self.clients.append(client)
        await client.ready

    def gone(self, client: Client) -> None:
        self._open -= 1
        self.closed[client.close_code or 1006] += 1
        if self._left is not None and self._open == 0:
            self._left.set()

    async def leave(self) -> None:
        """Say goodbye, all at once, and wait until the server has ended each."""
        self._left = asyncio.Event()
        for client in self.clients:
            client.transport.write(frame((1000).to_bytes(2), CLOSE))
        if self._open:
            async with asyncio.timeout(PATIENCE):
                await self._left.wait()
        self.clients.clear()

    async def everyone(self, marker: bytes, tell: Callable[[], object]) -> float:
        """Seconds from `tell` until the last one has heard a text that holds `marker`."""
        missing = len(self.clients)
        done = asyncio.get_running_loop().create_future()

        def heard(_: Client, text: bytes) -> None:
            nonlocal missing
            if marker in text:
                missing -= 1
                if missing == 0:
                    done.set_result(perf_counter())

        self.heard = heard
        began = perf_counter()
        tell()
        async with asyncio.timeout(PATIENCE):
            ended: float = await done
        self.heard = ignore
        return ended - began

    def abort(self) -> None:
        """Drop them all, as a test's end does."""
        for client in self.clients:
            client.transport.abort()
