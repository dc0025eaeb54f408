"""What answers are written through: in the place of the transport, which would be asked twice, and closed too soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MOST_HELD = 16 * 1024  # bytes; more is not worth a copy


class Outlet:
    """The writing half of a transport, as uvicorn's cycle of a request uses it.

    A head leaves together with the body behind it, if that comes in the same turn of the loop.
    """

    __slots__ = ("_close", "_held", "_loop", "_size", "_transport")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, close: Callable[[], None]
    ) -> None:
        """`close` ends the connection after the last answer."""
        self._transport = transport
        self._loop = loop
        self._close = close
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
            self._transport.writelines(held)

    def close(self) -> None:
        self.flush()
        self._close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def let_go(self) -> None:
        """The connection has ended; what it was given as `close` leads back to here."""
        self._close = self._transport.close
