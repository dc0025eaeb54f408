"""However a socket ends, nothing of it stays until Python looks for circles of references, which it does seldom."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.raw_socket import TEXT, frame, goodbye, raw_socket

SOCKETS = 5
OF_A_SOCKET = ("Socket", "Inbox", "FrameProtocol", "FrameDecoder")


async def _alive(app: AppProcess) -> dict[str, int]:
    """Of those objects that are a connection's."""
    alive: dict[str, int] = (await app.http.get("/test/alive")).json()
    return alive


async def _leave(app: AppProcess, path: str, last_words: bytes) -> None:
    async with raw_socket(app.url, path) as socket:
        socket.send(last_words)
        await socket.end()


async def _vanish(app: AppProcess) -> None:
    async with raw_socket(app.url, "/test/told?name=vanished") as socket:
        socket.send(frame(TEXT, b"hello"))
        await socket.text()


async def _be_refused(app: AppProcess, path: str) -> None:
    async with raw_socket(app.url, path) as socket:
        await socket.reader.read()


async def _end_in_every_way(app: AppProcess) -> None:
    for words in (goodbye(), frame(3), b"\xff" * 1000, frame(TEXT, b"x" * 100) * 2000 + goodbye()):
        await _leave(app, "/test/told?name=left", words)
    await _leave(app, "/test/fail", frame(TEXT, b"return"))
    await _leave(app, "/test/deaf", frame(TEXT, b"hello") * 5)
    await _leave(app, "/test/goodbye?code=4001", b"")
    await _leave(app, "/test/goodbye?code=70000", b"")  # raises
    await _vanish(app)
    for path in ("/test/no", "/test/subprotocol?name=chat"):
        await _be_refused(app, path)


@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_sockets_leave_no_circles_behind(app_process: StartApp, loop: str) -> None:
    settings = (f"server.event_loop={loop}", "websocket.send_timeout=0.2", "rate_limit.enabled=false")
    app = await app_process(*settings, module="tests.server.frame_routes")
    await _alive(app)

    await _end_in_every_way(app)
    async with AsyncExitStack() as opened:
        for number in range(SOCKETS):
            await opened.enter_async_context(raw_socket(app.url, f"/test/told?name={number}"))
        await eventually(lambda: _are_alive(app, SOCKETS), within=20)

    await eventually(lambda: _are_alive(app, 0), within=20)


async def _are_alive(app: AppProcess, sockets: int) -> bool:
    alive = await _alive(app)
    return {alive.get(name, 0) for name in OF_A_SOCKET} == {sockets}
