"""What this process has heard of, from other processes or from itself: that there may be something to do."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress


class Hints:
    """A hint may be lost and may be wrong: whoever waits for one looks after a while anyway."""

    def __init__(self) -> None:
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._calls: list[Callable[[str], None]] = []

    def tell(self, message: str) -> None:
        """Wake who waits for `message`, now or as soon as it waits."""
        self._events[message].set()
        for call in self._calls:
            call(message)

    def on_message(self, call: Callable[[str], None]) -> None:
        """Have `call` called with every message; it must return at once."""
        self._calls.append(call)

    async def wait(self, message: str, *, within: float) -> bool:
        """Whether `message` came before `within` seconds were over; several that came at once are one."""
        event = self._events[message]
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await event.wait()
        was_told = event.is_set()
        event.clear()
        return was_told
