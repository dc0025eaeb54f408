"""Malformed, oversize and idle frames: each ends its own socket with the right code, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.at_rest import at_rest
from tests.server.raw_socket import BINARY, CLOSE, PING, PONG, TEXT, End, frame, goodbye, raw_socket
from tests.server.stock_frames import stock_server

ROUTES = "tests.server.frame_routes"
LIMIT = 1024  # bytes of a message
SETTINGS = (f"websocket.message_limit={LIMIT}", "rate_limit.enabled=false")
SOON = 3.0  # seconds; the server itself waits one for the peer's goodbye

# What a client sends, and the code it is closed with.
MALFORMED: dict[str, tuple[bytes, int]] = {
    "without a mask": (b"\x81\x05hello", 1002),
    "with the bit of a compressed message": (frame(TEXT, b"hello", rsv=4), 1002),
    "with all reserved bits": (frame(TEXT, b"hello", rsv=7), 1002),
    "of an unknown kind": (frame(3, b"hello"), 1002),
    "of an unknown kind of control": (frame(11), 1002),
    "that goes on with nothing": (frame(0, b"hello"), 1002),
    "that begins within a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "that is half a ping": (frame(PING, b"hello", fin=False), 1002),
    "that is half a goodbye": (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    "that is a ping of 126 bytes": (frame(PING, bytes(126)), 1002),
    "that says more of its length than it must": (b"\x81\xfe\x00\x05\0\0\0\0hello", 1002),
    "that is longer than any": (frame(BINARY, size=(1 << 64) - 1), 1002),
    "that is no UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "that is half a letter": (frame(TEXT, b"\xc3"), 1007),
    "that ends a message within a letter": (frame(TEXT, b"a", fin=False) + frame(0, b"\xc3"), 1007),
    "that is a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "that closes with half a code": (frame(CLOSE, b"\x03"), 1002),
    "that closes with a code for nobody": (goodbye(1005), 1002),
    "that closes with a code that is none": (goodbye(999), 1002),
    "that closes with a code that nobody has given a meaning": (goodbye(2000), 1002),
    "that closes with a reason that is no UTF-8": (goodbye(1000, b"\xff"), 1007),
}
OVERSIZE: dict[str, tuple[bytes, int]] = {
    "a byte too long": (frame(TEXT, b"x" * (LIMIT + 1)), 1009),
    "a letter too long": (frame(TEXT, "é".encode() * (LIMIT // 2) + b"x"), 1009),
    "too long in two fragments": (frame(TEXT, b"x" * LIMIT, fin=False) + frame(0, b"x"), 1009),
    "of which four million terabytes are announced": (frame(BINARY, size=1 << 62), 1009),
    "of which too much is announced, in the second fragment": (
        frame(BINARY, b"x", fin=False) + frame(0, fin=False, size=LIMIT),
        1009,
    ),
    "with a megabyte behind the limit": (frame(BINARY, bytes(1 << 20)) * 2, 1009),
}
FLOODS: dict[str, tuple[bytes, int]] = {
    "of pings": (frame(PING, b"x" * 125) * 4000, 1008),
    "of pongs that nobody asked for": (frame(PONG) * 4000, 1008),
    "of fragments of nothing": (frame(TEXT, fin=False) + frame(0, fin=False) * 4000, 1008),
    "of fragments of a byte, after another limit": (frame(TEXT, fin=False) + frame(0, b"x", fin=False) * 4000, 1008),
}
GOODBYES: dict[str, tuple[bytes, int]] = {
    "with a code": (goodbye(1000), 1000),
    "with a code of one's own": (goodbye(4321, b"because"), 4321),
    "without a code": (frame(CLOSE), 0),
    "with more behind it": (goodbye(1001) + frame(TEXT, b"late") * 1000, 1001),
    "with garbage behind it": (goodbye(1000) + b"\xff" * 100_000, 1000),
}
CASES = {
    **{f"a frame {name}": case for name, case in MALFORMED.items()},
    **{f"a message {name}": case for name, case in OVERSIZE.items()},
    **{f"a flood {name}": case for name, case in FLOODS.items()},
    **{f"a goodbye {name}": case for name, case in GOODBYES.items()},
}


async def _inside(app: AppProcess, name: str = "") -> dict[str, Any]:
    answer = await app.http.get("/test/told", params={"name": name})
    inside: dict[str, Any] = answer.json()
    return inside


def _told(name: str) -> str:
    return f"/test/told?name={quote(name)}"


async def _play(url: str, path: str, sent: bytes) -> End:
    async with raw_socket(url, path) as socket:
        socket.send(sent)
        return await socket.end()


@asynccontextmanager
async def _bystander(app: AppProcess) -> AsyncIterator[Callable[[], Any]]:
    """Somebody else's socket, and whether it still works."""
    async with raw_socket(app.url, "/test/told?name=bystander") as socket:

        async def is_served() -> bool:
            socket.send(frame(TEXT, b"hello"))
            return await socket.text() == "str 5"

        yield is_served


@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_every_case_is_closed_with_its_code_and_costs_the_others_nothing(
    app_process: StartApp, loop: str
) -> None:
    app = await app_process(*SETTINGS, f"server.event_loop={loop}", module=ROUTES)
    async with _bystander(app) as is_served:
        assert await is_served()
        await eventually(lambda: app.events("realtime_connected"), within=5)  # which takes two tasks
        before = await at_rest(lambda: _holds(app))

        ends = {name: await _play(app.url, _told(name), sent) for name, (sent, _) in CASES.items()}

        assert {name: end.code for name, end in ends.items()} == {name: code for name, (_, code) in CASES.items()}
        assert [name for name, end in ends.items() if end.reset or end.seconds > SOON] == []
        for name, (_, code) in CASES.items():
            assert (await _inside(app, name))["told"] == {"end": "cancelled", "code": code or 1005}, name
        assert await is_served()
        await eventually(lambda: _holds_only(app, before), within=SOON)
    assert app.events("panic") == []


async def _holds(app: AppProcess) -> tuple[int, int]:
    """Its tasks, and the handlers of sockets."""
    inside = await _inside(app)
    return inside["tasks"], inside["handlers"]


async def _holds_only(app: AppProcess, before: tuple[int, int]) -> bool:
    return await _holds(app) == before


async def test_control_the_stock_stack_says_nothing_of_most_of_them() -> None:
    async with stock_server() as stock:
        ends = {name: await _end_on_stock(stock.url, sent) for name, (sent, _) in CASES.items()}

    right = [name for name, (_, code) in CASES.items() if ends[name] == code]
    assert "a goodbye with a code" in right
    assert not [name for name in right if name.startswith(("a frame", "a message", "a flood"))]


async def test_control_stock_uvicorn_answers_frames_without_an_end() -> None:
    async with stock_server("uvicorn") as stock:
        ends = {name: await _end_on_stock(stock.url, sent) for name, (sent, _) in FLOODS.items()}
        end = await _play(stock.url, "/test/echo", goodbye())

    assert ends == dict.fromkeys(FLOODS)
    assert end.code == 1000


async def _end_on_stock(url: str, sent: bytes) -> int | None:
    try:
        async with asyncio.timeout(1):
            return (await _play(url, "/test/echo", sent)).code
    except TimeoutError:
        return None
