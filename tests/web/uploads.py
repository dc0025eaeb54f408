"""A client that sends bodies in ways no library would: stalling, endless, and without looking at the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import h11
import httpx
import orjson

PART = b"x" * 65536


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Upload:
    """One connection. `sent` counts what the kernel has taken from it, in bytes."""

    def __init__(self, url: httpx.URL) -> None:
        self.url = url
        self.sent = 0

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(self.url.host, self.url.port)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.writer.transport.abort()

    async def head(self, path: str, *headers: str, method: str = "POST") -> None:
        """Chunked, unless one of `headers` says how long it is."""
        framing = () if any(each.lower().startswith("content-length") for each in headers) else CHUNKED
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *framing, *headers, "", ""]
        await self.send("\r\n".join(lines).encode())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    async def chunk(self, data: bytes) -> None:
        """Nothing is no chunk: it would be the end."""
        if data:
            await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def pour(self, size: int) -> None:
        """Chunks, whatever comes back; ends early where the server has closed."""
        with suppress(ConnectionError):
            for _ in range(0, size, len(PART)):
                await self.chunk(PART)
                await asyncio.sleep(0)  # a write that need not wait lets nobody else look at the answer

    async def answer(self) -> Answer:
        """The next whole answer. Raises `EOFError` where none comes, `ConnectionError` where it was reset."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method="GET", target="/", headers=[("Host", "test")]))
        parser.send(h11.EndOfMessage())
        return await self._answer(parser)

    async def _answer(self, parser: h11.Connection) -> Answer:
        head, body = None, b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await self._received())
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                self._left = parser.trailing_data[0]
                return Answer(head.status_code, {k.decode(): v.decode() for k, v in head.headers}, body)

    _left = b""

    async def _received(self) -> bytes:
        left, self._left = self._left, b""
        if not left:
            async with asyncio.timeout(10):
                left = await self.reader.read(65536)
        if not left:
            raise EOFError
        return left

    async def closed(self) -> bool:
        """True once the server has closed without another byte."""
        async with asyncio.timeout(10):
            return not (self._left or await self.reader.read(1))


CHUNKED = ("Transfer-Encoding: chunked",)


@asynccontextmanager
async def upload(client: httpx.AsyncClient, path: str, *headers: str) -> AsyncIterator[Upload]:
    """The head of a POST, sent; the rest is the test's."""
    async with Upload(client.base_url) as connection:
        await connection.head(path, *headers)
        yield connection
