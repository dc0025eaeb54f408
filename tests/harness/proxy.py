"""A TCP proxy that misbehaves on demand: the network between the app and a service."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

CHUNK = 65536


class Proxy:
    """Passes bytes on to `host:port`; see `cut`, `stall` and `latency` (seconds added to each chunk)."""

    def __init__(self, host: str, port: int) -> None:
        self.latency = 0.0
        self.port = 0
        self.accepted = 0
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._links: set[asyncio.Task[None]] = set()

    def url(self, original: str) -> str:
        """The same URL, through the proxy."""
        parts = urlsplit(original)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self.port}" if login else f"127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """Reset every connection and each new one, as when the service is gone."""
        self._refusing = True
        for link in self._links:
            link.cancel()

    def stall(self) -> None:
        """Accept everything, pass nothing on: no error ever tells the other side."""
        self._flowing.clear()

    def heal(self) -> None:
        self._refusing = False
        self.latency = 0.0
        self._flowing.set()

    async def _link(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.accepted += 1
        try:
            if not self._refusing:
                await self._join(reader, writer)
        except (asyncio.CancelledError, OSError):
            pass  # cut, or one side has gone
        finally:
            self._links.discard(task)
            writer.transport.abort()

    async def _join(self, reader: StreamReader, writer: StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as both:
                there = both.create_task(self._pass_on(reader, back_writer))
                back = both.create_task(self._pass_on(back_reader, writer))
                there.add_done_callback(lambda _: back.cancel())
                back.add_done_callback(lambda _: there.cancel())
        finally:
            back_writer.transport.abort()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self.latency)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def open_proxy(host: str, port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy._link, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        links = list(proxy._links)
        proxy.cut()
        await asyncio.gather(*links, return_exceptions=True)
