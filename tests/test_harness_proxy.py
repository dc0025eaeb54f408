"""The proxy does to a connection what it says, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.harness.proxy import Proxy, open_proxy


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy in front of a server that sends every line back."""

    async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(send_back, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with open_proxy(host, port) as between:
        yield between
    server.close()


async def lost(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether an exchange ends in a reset, or in the end of the stream where the reset was read as such."""
    try:
        return await exchange(reader, writer) == b""
    except ConnectionError:
        return True


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"hello\n")
    await writer.drain()
    async with asyncio.timeout(20):
        return await reader.readline()


async def test_it_passes_bytes_on_both_ways(proxy: Proxy) -> None:
    async with connected(proxy) as ends:
        assert await exchange(*ends) == b"hello\n"


async def test_a_cut_ends_open_connections_and_new_ones_until_healed(proxy: Proxy) -> None:
    async with connected(proxy) as old:
        await exchange(*old)

        proxy.cut()

        assert await lost(*old)
    async with connected(proxy) as new:
        assert await lost(*new)

    proxy.heal()

    async with connected(proxy) as healed:
        assert await exchange(*healed) == b"hello\n"


async def test_a_stall_answers_nothing_and_breaks_nothing(proxy: Proxy) -> None:
    async with connected(proxy) as ends:
        proxy.stall()
        waiting = asyncio.create_task(exchange(*ends))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        proxy.heal()

        assert not done
        assert await waiting == b"hello\n"


async def test_latency_is_added_to_each_way(proxy: Proxy) -> None:
    async with connected(proxy) as ends:
        proxy.latency = 0.05

        started = time.perf_counter()
        await exchange(*ends)

        assert time.perf_counter() - started >= 0.1


def test_a_url_through_the_proxy_keeps_its_login_and_path() -> None:
    between = Proxy("db", 5432)
    between.port = 7

    assert between.url("postgresql://me:pw@db:5432/plinth?x=1") == "postgresql://me:pw@127.0.0.1:7/plinth?x=1"
