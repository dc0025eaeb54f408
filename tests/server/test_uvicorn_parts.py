"""What the uvicorn side is made of: where a head and a body end, when time is over, what is written at once."""

from __future__ import annotations

import asyncio
from functools import partial

import httptools
import pytest

from app.core.errors import HeadersTooLarge
from app.server.deadline import Deadline
from app.server.gathered import MOST_HELD
from app.server.heads import MOST_INCOMPLETE
from app.server.on_uvicorn.bodies import Chunked, Measured
from app.server.on_uvicorn.outlet import Outlet
from app.server.on_uvicorn.request_line import is_coded_otherwise, read_line
from tests.harness.waiting import eventually

CHUNKS = b"5\r\n\r\n\r\n!\r\n2;x\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\n\r\n"


class Told:
    """A parser that is told of a body in chunks, and whether it has come to its end."""

    def __init__(self) -> None:
        self.body, self.whole = b"", False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole = True


def _fed(parts: list[bytes]) -> tuple[bytes, bytes]:
    """The body, and what is left when it has come to its end."""
    told, body, left = Told(), Chunked(), b""
    for part in parts:
        start = 0
        while start < len(part) and not told.whole:
            end = body.next_end(part, start)
            assert end > start
            before = told.body
            told.parser.feed_data(part[start:end])
            if told.body != before:
                body.arrived()
            start = end
        left += part[start:]
    return told.body, left


@pytest.mark.parametrize("size", range(1, len(CHUNKS) + len(NEXT)))
def test_a_body_in_chunks_ends_where_it_ends_however_it_arrives(size: int) -> None:
    stream = CHUNKS + NEXT

    body, left = _fed([stream[start : start + size] for start in range(0, len(stream), size)])

    assert (body, left) == (b"\r\n\r\n!ok", NEXT)


def test_a_measured_body_ends_with_its_last_byte() -> None:
    body = Measured(5)

    assert [body.next_end(b"abc", 0), body.next_end(b"defg", 0)] == [3, 2]


@pytest.mark.parametrize("endless", [b"5;" + b"x" * 100_000, b"0\r\n" + b"X-Sum: 1\r\n" * 10_000])
def test_lines_without_an_end_are_too_large(endless: bytes) -> None:
    with pytest.raises(HeadersTooLarge):
        _fed([endless])


def test_chunks_of_next_to_nothing_are_not() -> None:
    one = b"1\r\nx\r\n"

    assert _fed([one * MOST_INCOMPLETE + b"0\r\n\r\n"]) == (b"x" * MOST_INCOMPLETE, b"")


def test_every_method_is_read_and_llhttp_is_asked_for_the_same_thing() -> None:
    read = read_line(b"BREW /pot?milk#1 HTTP/1.1\r\nHost: test\r\nX-Odd: one\r\n two\r\nUpgrade: foo\r\n\r\n")

    assert read is not None
    line, for_llhttp = read
    assert (line.method, line.target, line.version) == (b"BREW", b"/pot?milk#1", b"1.1")
    assert for_llhttp == b"GET / HTTP/1.1\r\nHost: test\r\nX-Odd: one two\r\nx-plinth-upgrade: foo\r\n\r\n"


@pytest.mark.parametrize(
    "first", [b"GET /\r\n", b"GET  / HTTP/1.1\r\n", b"\r\nGET / HTTP/1.1\r\n", b"GET /\xff HTTP/1.1\r\n"]
)
def test_a_line_that_is_none_is_not_read(first: bytes) -> None:
    assert read_line(first + b"Host: test\r\n\r\n") is None


@pytest.mark.parametrize(
    ("lines", "otherwise"),
    [
        (b"", False),
        (b"Transfer-Encoding: Chunked \r\n", False),
        (b"transfer-encoding: gzip, chunked\r\n", True),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", True),
        (b"Transfer-Encoding:\r\n", True),
        (b"X-Transfer-Encoding: gzip\r\n", False),
    ],
)
def test_only_chunks_are_a_coding(lines: bytes, *, otherwise: bool) -> None:
    assert is_coded_otherwise(b"POST / HTTP/1.1\r\nHost: test\r\n" + lines + b"\r\n") is otherwise


async def test_a_deadline_calls_once_at_the_time_that_was_set_last() -> None:
    loop = asyncio.get_running_loop()
    calls: list[float] = []
    began = loop.time()
    deadline = Deadline(loop, lambda: calls.append(loop.time() - began))

    deadline.within(0.05)
    deadline.within(0.2)
    await eventually(lambda: calls, within=10)
    deadline.within(600)
    deadline.within(0.05)  # earlier than what is armed
    await eventually(lambda: len(calls) == 2, within=10)

    assert calls[0] >= 0.2
    deadline.cancel()


async def test_a_deadline_that_is_lifted_or_cancelled_does_not_call() -> None:
    loop = asyncio.get_running_loop()
    calls: list[str] = []
    lifted, cancelled, kept = (Deadline(loop, partial(calls.append, name)) for name in ("lifted", "cancelled", "kept"))

    for deadline in (lifted, cancelled, kept):
        deadline.within(0.05)
    lifted.lift()
    cancelled.cancel()
    await eventually(lambda: calls, within=10)

    assert calls == ["kept"]


class Written:
    """A transport that keeps what is written to it, a line for each time."""

    def __init__(self) -> None:
        self.times: list[bytes] = []

    closed = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def write(self, data: bytes) -> None:
        self.times.append(data)


async def test_a_head_leaves_with_the_body_behind_it_or_alone_in_the_next_turn() -> None:
    written = Written()
    outlet = Outlet(written, asyncio.get_running_loop(), lambda: None)  # type: ignore[arg-type]  # as far as it is used

    outlet.write(b"head")
    outlet.write(b"body")
    outlet.flush()
    outlet.write(b"head")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    outlet.write(b"x" * (MOST_HELD + 1))

    assert written.times == [b"headbody", b"head", b"x" * (MOST_HELD + 1)]


async def test_an_application_may_end_after_its_connection() -> None:
    written, ends = Written(), []
    outlet = Outlet(written, asyncio.get_running_loop(), lambda: ends.append("end"))  # type: ignore[arg-type]  # as above

    outlet.let_go()
    outlet.close()
    outlet.write(b"too late")
    outlet.flush()

    assert (ends, written.times) == ([], [])
