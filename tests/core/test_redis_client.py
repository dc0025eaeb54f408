"""What is leant on of redis-py and hiredis, private names too: an upgrade that moves one fails here."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import hiredis
import pytest
from redis import exceptions
from redis._parsers import BaseParser
from redis._parsers.hiredis import _AsyncHiredisParser
from redis.asyncio import Redis as Client
from redis.asyncio.connection import AbstractConnection

from app.core.redis import bare_connection
from app.core.redis_line import NOTHING_YET, Lines
from tests.core.database.test_tls import FILES, pass_on
from tests.harness.settings import TestSettings


@pytest.fixture
async def connection(settings: TestSettings) -> AsyncIterator[AbstractConnection]:
    opened = bare_connection(settings().redis, protocol=2)
    await opened.connect()  # type: ignore[no-untyped-call]
    yield opened
    await opened.disconnect(nowait=True)


async def test_an_open_connection_has_a_stream_whose_transport_may_be_taken_over(
    connection: AbstractConnection,
) -> None:
    assert isinstance(connection._writer, asyncio.StreamWriter)
    assert isinstance(connection._reader, asyncio.StreamReader)
    assert await connection.can_read() is False  # the greeting has left nothing behind
    assert isinstance(connection._parser, _AsyncHiredisParser)


async def test_a_closed_connection_is_known_to_be_closed_and_not_complained_of(settings: TestSettings) -> None:
    opened = bare_connection(settings().redis, protocol=2)
    await opened.connect()  # type: ignore[no-untyped-call]

    opened._close()  # type: ignore[no-untyped-call]
    opened._close()  # type: ignore[no-untyped-call]

    assert not opened.is_connected
    del opened
    gc.collect()  # a warning is an error


async def test_the_library_asks_nothing_of_its_own(connection: AbstractConnection) -> None:
    await connection.send_command("CLIENT", "INFO")

    told = await connection.read_response(disable_decoding=True)

    facts = dict(fact.split(b"=", 1) for fact in told.split())
    assert facts.get(b"lib-name", b"") == facts.get(b"lib-ver", b"") == b""
    assert facts[b"cmd"].startswith(b"client")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("NOSCRIPT No matching script.", exceptions.NoScriptError),
        ("LOADING Redis is loading", exceptions.ConnectionError),
        ("NOAUTH Authentication required.", exceptions.ConnectionError),
        ("ERR max number of clients reached", exceptions.ConnectionError),
        ("READONLY You can't write", exceptions.ReadOnlyError),
        ("OOM command not allowed", exceptions.OutOfMemoryError),
        ("WRONGTYPE Operation against", exceptions.ResponseError),
    ],
)
def test_an_error_is_told_by_its_kind(said: str, kind: type[Exception]) -> None:
    reader = _reader()
    reader.feed(f"-{said}\r\n".encode())

    assert isinstance(reader.gets(False), kind)
    assert issubclass(kind, exceptions.RedisError)


def test_a_forgotten_script_is_known_by_name() -> None:
    assert exceptions.NoScriptError.__name__ == "NoScriptError"


def test_answers_come_out_whole_and_in_order() -> None:
    reader, found = _reader(), []
    for byte in b"*3\r\n:1\r\n$-1\r\n-WRONGTYPE inside\r\n$4\r\n\xff\r\n\x00\r\n+OK\r\n":
        reader.feed(bytes([byte]))
        came = reader.gets(False)
        found += [] if came is NOTHING_YET else [came]

    (one, nothing, error), text, fine = found
    assert (one, nothing, text, fine) == (1, None, b"\xff\r\n\x00", b"OK")
    assert isinstance(error, exceptions.ResponseError)


def test_what_is_no_answer_is_told() -> None:
    reader = _reader()
    reader.feed(b"HTTP/1.1 200 OK\r\n")

    with pytest.raises(exceptions.InvalidResponse):
        reader.gets(False)


def test_a_command_is_packed_with_all_kinds_of_arguments() -> None:
    packed = hiredis.pack_command(("SET", "ä", b"\x00\r\n", 7, 0.25))  # type: ignore[arg-type]

    assert packed == b"*5\r\n$3\r\nSET\r\n$2\r\n\xc3\xa4\r\n$3\r\n\x00\r\n\r\n$1\r\n7\r\n$4\r\n0.25\r\n"


def test_answers_are_shaped_by_the_name_of_their_command() -> None:
    shapes = Client().response_callbacks

    assert shapes["SET"](b"OK") is True
    assert shapes["PING"](b"PONG") is True
    assert {"EVALSHA", "EVAL", "GETDEL", "INCR", "PUBLISH", "DEL"}.isdisjoint(shapes)


class Front:
    """Passes on to Redis what comes."""

    def __init__(self, settings: TestSettings) -> None:
        self.target = urlsplit(settings().redis.url.reveal())
        self.links: set[asyncio.Task[None] | None] = set()

    async def link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links.add(asyncio.current_task())
        back_reader, back_writer = await asyncio.open_connection(self.target.hostname, self.target.port)
        there = asyncio.create_task(pass_on(reader, back_writer))
        await pass_on(back_reader, writer)
        await there

    async def left(self) -> None:
        """Whoever was here has gone."""
        await asyncio.gather(*(link for link in self.links if link))


@asynccontextmanager
async def tls_front(settings: TestSettings, _: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FILES / "server.pem", FILES / "server.key")
    front = Front(settings)
    async with await asyncio.start_server(front.link, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"rediss://{_login(settings)}127.0.0.1:{port}{_path(settings)}?ssl_cert_reqs=none"
        await front.left()


@asynccontextmanager
async def unix_front(settings: TestSettings, folder: Path) -> AsyncIterator[str]:
    front = Front(settings)
    async with await asyncio.start_unix_server(front.link, folder / "s"):
        yield f"unix://{_login(settings)}{folder}/s?db={_path(settings).strip('/') or 0}"
        await front.left()


@pytest.mark.parametrize("front", [tls_front, unix_front])
async def test_connections_of_other_kinds_are_taken_over_too(
    settings: TestSettings, tmp_path: Path, front: Callable[[TestSettings, Path], AbstractAsyncContextManager[str]]
) -> None:
    async with front(settings, tmp_path) as url:
        chosen = settings(f"redis.url={url}").redis
        made: list[AbstractConnection] = []

        async def connect() -> AbstractConnection:
            made.append(bare_connection(chosen, protocol=2))
            await made[-1].connect()  # type: ignore[no-untyped-call]
            return made[-1]

        lines = Lines(connect, most=1, timeout=30)
        word = "x" * 100_000
        assert await lines.run("SET", "word", word) == b"OK"
        assert await asyncio.gather(*(lines.run("GET", "word") for _ in range(5))) == [word.encode()] * 5
        await lines.close()

    assert [each.is_connected for each in made] == [False]


def _reader() -> hiredis.Reader:
    return hiredis.Reader(
        protocolError=exceptions.InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=NOTHING_YET
    )


def _login(settings: TestSettings) -> str:
    login, at, _ = urlsplit(settings().redis.url.reveal()).netloc.rpartition("@")
    return login + at


def _path(settings: TestSettings) -> str:
    return urlsplit(settings().redis.url.reveal()).path
