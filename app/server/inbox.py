"""What a peer has sent and its handler has not taken: two messages, and then the peer has to wait.

In the place of a queue, which costs an idle socket two kilobytes.
"""

from __future__ import annotations

import asyncio
from typing import Any

Event = dict[str, Any]  # of ASGI

MOST = 2  # events


class Inbox:
    """Filled by the task that reads the connection, emptied by the handler."""

    __slots__ = ("_code", "_events", "_loop", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: list[Event] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._code: int | None = None

    @property
    def is_full(self) -> bool:
        return len(self._events) >= MOST and self._code is None

    async def put(self, event: Event) -> None:
        """Wait for a place; once the socket has ended, nobody wants it."""
        while self.is_full:
            await self._change()
        if self._code is None:
            self._events.append(event)
            self._wake()

    async def get(self) -> Event:
        """The next event; after the end, that it is over, however often it is asked for."""
        while not self._events and self._code is None:
            await self._change()
        if not self._events:
            return {"type": "websocket.disconnect", "code": self._code or 0}
        event = self._events.pop(0)
        self._wake()
        return event

    def end(self, code: int) -> None:
        """Nothing more will come; what is there can still be taken."""
        if self._code is None:
            self._code = code
            self._wake()

    def clear(self) -> None:
        self._events.clear()

    async def _change(self) -> None:
        waiting = self._loop.create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)
