"""A steady stream of requests over raw sockets, so that what was cut is told apart from what was refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import urlsplit

OUTCOMES = {b"200": "answered", b"503": "unavailable"}


class Load:
    """`rate` requests a second: a share of them over keep-alive connections, the others over new ones.

    Outcomes: `answered` (a whole 200), `unavailable` (a whole 503), `refused` (never had a connection, or
    a keep-alive connection that was closed before anything was sent on it), `cut` (anything else).
    """

    def __init__(self, url: str, *, rate: float, path: str = "/health/live", keep_alive: int = 10) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.rate = rate
        self.head = f"GET {path} HTTP/1.1\r\nHost: test\r\n"
        self.keep_alive = keep_alive
        self.outcomes: Counter[str] = Counter()
        self.cuts: list[str] = []  # what was seen of each
        self._stop = asyncio.Event()

    async def run(self) -> Counter[str]:
        """Until `stop`; every request that was begun is waited for."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.keep_alive):
                group.create_task(self._keep_alive(self.keep_alive * 4 / self.rate))
            while not self._stop.is_set():
                group.create_task(self._once())
                await asyncio.sleep(1 / self.rate)
        return self.outcomes

    def stop(self) -> None:
        self._stop.set()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            async with asyncio.timeout(5):
                return await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError):
            self.outcomes["refused"] += 1
            return None

    async def _once(self) -> None:
        if streams := await self._connect():
            reader, writer = streams
            await self._ask(reader, writer, last=True)
            writer.close()

    async def _keep_alive(self, pause: float) -> None:
        while not self._stop.is_set():
            if not (streams := await self._connect()):
                return
            reader, writer = streams
            while not self._stop.is_set() and await self._ask(reader, writer, last=False):
                await asyncio.sleep(pause)
                if reader.at_eof():
                    break
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, last: bool) -> bool:
        """True while the connection may be used again."""
        try:
            writer.write((self.head + ("Connection: close\r\n\r\n" if last else "\r\n")).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError, IndexError) as error:
            self._cut(f"{error!r} on {'a new' if last else 'an open'} connection")
            return False
        status = head.split(b" ")[1]
        if status not in OUTCOMES:
            self._cut(repr(head))
        else:
            self.outcomes[OUTCOMES[status]] += 1
        return b"connection: close" not in head

    def _cut(self, how: str) -> None:
        self.outcomes["cut"] += 1
        self.cuts.append(how)
