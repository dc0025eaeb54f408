"""What answers are written through: in the place of the transport, which would be asked twice, and closed too soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.server.gathered import Gathered


class Outlet(Gathered):
    """The writing half of a transport, as uvicorn's cycle of a request uses it."""

    __slots__ = ("_close",)

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, close: Callable[[], None]
    ) -> None:
        """`close` ends the connection after the last answer."""
        super().__init__(transport, loop)
        self._close = close

    def close(self) -> None:
        self.flush()
        self._close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def let_go(self) -> None:
        """The connection has ended; what it was given as `close` leads back to here."""
        self._close = self._transport.close
