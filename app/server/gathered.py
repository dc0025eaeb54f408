"""What is written to a connection in one turn of the loop leaves together: each write of the system is dear."""

from __future__ import annotations

import asyncio

MOST_HELD = 16 * 1024  # bytes; more is not worth a copy


class Gathered:
    """The writing half of a transport. A head waits for the body behind it, if that comes in the same turn."""

    __slots__ = ("_held", "_loop", "_size", "_transport")

    def __init__(self, transport: asyncio.WriteTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        self._held.append(data)
        if self._size > MOST_HELD:
            self.flush()
        elif len(self._held) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        if not self._held:
            return
        held, self._held, self._size = self._held, [], 0
        if not self._transport.is_closing():
            # Not by `writelines`: asyncio's own, from Python 3.12 on, never tells the writer to wait for a slow reader,
            # and tries for ever to send an empty piece that comes last.
            self._transport.write(b"".join(held))
