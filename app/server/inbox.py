"""What a peer has sent and its handler has not taken: two messages, and then the peer has to wait.

In the place of a queue, which costs an idle socket two kilobytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]  # of ASGI

MOST = 2  # events; one more has come by the time that the peer is held up


class Inbox:
    """Filled by whoever reads the connection, emptied by the handler."""

    __slots__ = ("_code", "_events", "_loop", "_on_room", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: list[Event] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._on_room: Callable[[], object] | None = None
        self._code: int | None = None

    @property
    def is_full(self) -> bool:
        """True while nothing more is to be read from the peer."""
        return len(self._events) > MOST and self._code is None

    def put(self, event: Event) -> None:
        """Whoever puts asks first, or afterwards, whether it `is_full`; once the socket has ended, nobody wants it."""
        if self._code is None:
            self._events.append(event)
            self._wake()

    def when_room(self, call: Callable[[], object]) -> None:
        """Have `call` called once, soon after it `is_full` no more; for one that is."""
        self._on_room = call

    async def get(self) -> Event:
        """The next event; after the end, that it is over, however often it is asked for."""
        while not self._events and self._code is None:
            await self._change()
        if not self._events:
            return {"type": "websocket.disconnect", "code": self._code or 0}
        event = self._events.pop(0)
        self._tell_of_room()
        return event

    def end(self, code: int) -> None:
        """Nothing more will come; what is there can still be taken."""
        if self._code is None:
            self._code = code
            self._wake()
            self._tell_of_room()

    def clear(self) -> None:
        self._events.clear()

    def _tell_of_room(self) -> None:
        if self._on_room and not self.is_full:
            # Later, as what is called may end the socket of the very handler that takes this event.
            self._loop.call_soon(self._on_room)
            self._on_room = None

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
