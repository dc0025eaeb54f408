"""What is written in one turn leaves together, and a connection that was written to can be closed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from app.server.gathered import MOST_HELD, Gathered

Write = Callable[[asyncio.WriteTransport], None]
ENDS_WITH_NOTHING = (b"head", b"body", b"")


def by_asyncio(transport: asyncio.WriteTransport) -> None:
    transport.writelines(ENDS_WITH_NOTHING)


def by_gathered(transport: asyncio.WriteTransport) -> None:
    gathered = Gathered(transport, asyncio.get_running_loop())
    for each in ENDS_WITH_NOTHING:
        gathered.write(each)
    gathered.flush()


async def heard(write: Write, *, within: float) -> bytes | None:
    """What a client has read by the end of the connection; None where it does not end."""

    served: list[asyncio.WriteTransport] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer.transport)
        write(writer.transport)
        writer.transport.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(within):
            return await reader.read()
    except TimeoutError:
        return None
    finally:
        server.close()
        for transport in (*served, writer.transport):
            transport.abort()


def on_asyncio(write: Write, *, within: float) -> bytes | None:
    """uvloop, which the other tests may run on, does otherwise."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(heard(write, within=within))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio's fault of Python 3.12 and later")
def test_asyncio_never_ends_a_connection_after_an_empty_piece() -> None:
    assert on_asyncio(by_asyncio, within=1) is None


def test_an_empty_piece_is_none() -> None:
    assert on_asyncio(by_gathered, within=20) == b"headbody"


class Transport(asyncio.WriteTransport):
    """Keeps the pieces that it is given at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[list[bytes]] = []

    def writelines(self, list_of_data: object) -> None:
        self.given.append(list(list_of_data))  # type: ignore[call-overload]

    def is_closing(self) -> bool:
        return False


async def test_a_turn_is_one_write() -> None:
    transport = Transport()
    gathered = Gathered(transport, asyncio.get_running_loop())

    gathered.write(b"head")
    gathered.write(b"body")
    await asyncio.sleep(0)
    gathered.write(b"more")
    await asyncio.sleep(0)

    assert transport.given == [[b"head", b"body"], [b"more"]]


async def test_much_is_not_held() -> None:
    transport = Transport()
    gathered = Gathered(transport, asyncio.get_running_loop())

    gathered.write(b"x" * (MOST_HELD + 1))

    assert transport.given == [[b"x" * (MOST_HELD + 1)]]
