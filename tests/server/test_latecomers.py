"""Connections made while the doors close get an answer, also where the kernel takes no filter from us."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from app.server.latecomers import close_listener, turn_away
from app.server.listener import open_listener
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


@pytest.fixture
def listener() -> socket.socket:
    """Listens, and nobody accepts: what connects waits in the queue."""
    return open_listener("127.0.0.1", 0, backlog=16)


async def _ask(address: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(REQUEST)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_who_waits_in_the_queue_is_told_to_come_again(listener: socket.socket) -> None:
    asking = [asyncio.create_task(_ask(listener.getsockname())) for _ in range(3)]
    await eventually(lambda: _queued(listener) == 3, within=20)

    await turn_away(close_listener(listener))

    for answer in await asyncio.gather(*asking):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in head
        assert b"x-request-id: " in head
        assert b"x-content-type-options: nosniff" in head
        assert b"content-length: %d" % len(body) in head
        assert b'"code":"SERVICE_UNAVAILABLE"' in body


async def test_stock_closing_the_listener_resets_them(listener: socket.socket) -> None:
    asking = asyncio.create_task(_ask(listener.getsockname()))
    await eventually(lambda: _queued(listener) == 1, within=20)

    listener.close()

    with pytest.raises(ConnectionResetError):
        await asking


class PutAside(socket.socket):
    """A listener whose process is put aside by the scheduler right before the close, while a client connects."""

    client: socket.socket

    def close(self) -> None:
        if self.fileno() >= 0:
            self.client = socket.socket()
            self.client.setblocking(False)
            self.client.connect_ex(self.getsockname())
        super().close()


@pytest.fixture
def put_aside(listener: socket.socket) -> Iterator[PutAside]:
    listener = PutAside(fileno=listener.detach())
    yield listener
    listener.client.close()


def _connected(client: socket.socket) -> bool:
    with suppress(OSError):
        client.getpeername()
        return True
    return False


def test_nobody_gets_in_between_the_last_look_and_the_close(put_aside: PutAside) -> None:
    assert close_listener(put_aside) == []

    assert not _connected(put_aside.client), "the kernel took no further connection: nobody to be reset"


def test_control_a_plain_close_resets_who_got_in_at_that_moment(put_aside: PutAside) -> None:
    with pytest.raises(BlockingIOError):
        put_aside.accept()  # the queue is empty

    put_aside.close()

    with pytest.raises(ConnectionResetError):
        put_aside.client.send(b"?")


async def test_who_sends_nothing_does_not_hold_the_stop(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()):
        waiting = close_listener(listener)

        async with asyncio.timeout(20):
            await turn_away(waiting)

    assert len(waiting) == 1


@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_new_connection_may_still_send_its_request(app_process: StartApp, loop: str) -> None:
    app = await app_process(f"server.event_loop={loop}")
    host, port = app.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    app.terminate()
    await eventually(lambda: app.events("listener_closing"), within=20)
    writer.write(REQUEST.replace(b"GET /", b"GET /health/live"))
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert await app.wait(within=20) == 0


def _queued(listener: socket.socket) -> int:
    """How many finished connections wait: the kernel counts them in a listening socket's tcp_info."""
    unacknowledged = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[24:28]
    return int.from_bytes(unacknowledged, "little")
