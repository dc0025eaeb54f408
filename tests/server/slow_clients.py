"""Clients that hold connections by sending next to nothing, in a process of their own.

`python -m tests.server.slow_clients PORT HEADERS BODIES` writes `open` once all are connected, and when the server has
ended every one of them, a line of JSON on how.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from time import monotonic

PAUSE = 0.5  # seconds between two bytes, or two headers
PATIENCE = 40.0  # seconds after which a connection counts as held for ever

PROBE = b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n"
HEADERS = b"GET /health/live HTTP/1.1\r\nHost: test\r\n", b"X-Slow: 1\r\n"
BODY = (
    b"POST /test/json HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n",
    b" ",
)


class Held:
    """One connection: how long the server bore it, and what it said at the end."""

    def __init__(self, port: int, first: bytes, more: bytes) -> None:
        self.port, self.first, self.more = port, first, more

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.began = monotonic()
        self.writer.write(self.first)

    async def hold(self) -> tuple[float, int]:
        """Seconds, and the status of the answer; 0 for a close without a word."""
        dribbling = asyncio.create_task(self._dribble())
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self.reader.readline()
        except (OSError, TimeoutError):
            line = b""
        seconds = monotonic() - self.began
        dribbling.cancel()
        self.writer.transport.abort()
        return seconds, int(line.split()[1]) if line else 0

    async def _dribble(self) -> None:
        while not self.writer.is_closing():
            await asyncio.sleep(PAUSE)
            self.writer.write(self.more)


async def _latest(port: int) -> float:
    """How long a request took at worst until the server ended it all: what a busy machine adds to every time limit."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latest = 0.0
    with suppress(asyncio.CancelledError):
        while True:
            due = monotonic() + 0.05
            await asyncio.sleep(0.05)
            writer.write(PROBE)
            await reader.readuntil(b"}")
            latest = max(latest, monotonic() - due)
    writer.close()
    return latest


async def main(port: int, headers: int, bodies: int) -> None:
    slow_headers = [Held(port, *HEADERS) for _ in range(headers)]
    slow_bodies = [Held(port, *BODY) for _ in range(bodies)]
    watching = asyncio.create_task(_latest(port))
    await asyncio.gather(*(held.connect() for held in (*slow_headers, *slow_bodies)))
    _say("open")
    ends = await asyncio.gather(*(held.hold() for held in (*slow_headers, *slow_bodies)))
    watching.cancel()
    _say(json.dumps({"headers": ends[:headers], "bodies": ends[headers:], "late": await watching}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
