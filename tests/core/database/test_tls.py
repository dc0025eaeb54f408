"""Each `database.sslmode`, against a server that speaks TLS with a certificate for `localhost`."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.core.database import TlsRefused, open_database
from app.core.database.tls import tls
from app.core.settings.sections import SslMode
from tests.harness.settings import TestSettings

FILES = Path(__file__).with_name("tls")
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


class TlsFront:
    """Ends TLS before a PostgreSQL that has none; refuses whoever does not ask for it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(FILES / "server.pem", FILES / "server.key")
        self.encrypted = 0

    async def link(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(self._context)
                self.encrypted += 1
                await self._join(reader, writer)
        writer.transport.abort()

    async def _join(self, reader: StreamReader, writer: StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(*self._target)
        there = asyncio.create_task(pass_on(reader, back_writer))
        await pass_on(back_reader, writer)
        back_writer.transport.abort()
        await there


async def pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@pytest.fixture
async def front(settings: TestSettings) -> AsyncIterator[tuple[TlsFront, int]]:
    chosen = settings().database
    front = TlsFront(chosen.host, chosen.port)
    server = await asyncio.start_server(front.link, "127.0.0.1", 0)
    yield front, server.sockets[0].getsockname()[1]
    server.close()


CASES = [
    # mode, host, is the authority known here, does it connect
    ("prefer", "127.0.0.1", False, True),
    ("require", "127.0.0.1", False, True),
    ("verify-ca", "127.0.0.1", False, False),
    ("verify-ca", "127.0.0.1", True, True),
    ("verify-full", "127.0.0.1", True, False),
    ("verify-full", "localhost", False, False),
    ("verify-full", "localhost", True, True),
]


@pytest.mark.parametrize(("mode", "host", "known", "connects"), CASES)
async def test_a_mode_accepts_what_it_promises_and_no_more(
    settings: TestSettings,
    front: tuple[TlsFront, int],
    monkeypatch: pytest.MonkeyPatch,
    *,
    mode: str,
    host: str,
    known: bool,
    connects: bool,
) -> None:
    served, port = front
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(FILES / "authority.pem"))
    chosen = settings(f"database.host={host}", f"database.port={port}", f"database.sslmode={mode}").database

    if connects:
        async with open_database(chosen) as db:
            assert await db.fetch_val("SELECT 1") == 1
        assert served.encrypted >= 1
    else:
        with pytest.raises(TlsRefused, match=f"database.sslmode={mode} do not fit: .*certificate"):
            async with open_database(chosen):
                pass


def test_disable_never_encrypts() -> None:
    assert tls(SslMode.DISABLE) is False


@pytest.mark.parametrize("mode", [SslMode.REQUIRE, SslMode.VERIFY_CA, SslMode.VERIFY_FULL])
def test_old_protocols_are_off(mode: SslMode) -> None:
    context = tls(mode)

    assert isinstance(context, ssl.SSLContext)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode is ssl.CERT_NONE) is (mode is SslMode.REQUIRE)
    assert context.check_hostname is (mode is SslMode.VERIFY_FULL)
