"""What the sockets write past the handler, and what the handler sends: one stream, in one order."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.raw_socket import CLOSE, goodbye, raw_socket

ROUTES = "tests.server.frame_routes"


async def _noted(app: AppProcess) -> dict[str, Any]:
    noted: dict[str, Any] = (await app.http.get("/test/told", params={"name": "mixed"})).json()["told"]
    return noted


@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_both_ways_of_writing_keep_their_order_and_end_with_the_close_frame(
    app_process: StartApp, loop: str
) -> None:
    app = await app_process(f"server.event_loop={loop}", module=ROUTES)

    async with raw_socket(app.url, "/test/mixed") as socket:
        numbers = [await socket.text() for _ in range(100)]
        last = await socket.frame()
        before = await _noted(app)
        socket.send(goodbye(4000))
        end = await socket.end()

    assert numbers == [*map(str, range(100))]
    assert last == (CLOSE, struct.pack("!H", 4000) + b"done")
    assert before == {"open": False, "code": 4000, "sent": 100, "gone": []}
    assert (end.code, end.reset) == (None, False)
    await eventually(lambda: _is_told(app), within=3)


async def _is_told(app: AppProcess) -> bool:
    """The handler's `receive` has ended it, and the peer's going was told once."""
    noted = await _noted(app)
    return "went on" not in noted and noted["gone"] == ["gone"]
