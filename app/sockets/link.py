"""One life of one connection to Redis: what is published comes in one order with what is answered, until it is lost."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.core.redis import Value, bare_connection
from app.core.settings.sections import Redis as RedisSettings

if TYPE_CHECKING:  # imported when a connection is made (see app/core/redis.py)
    from redis.asyncio.connection import AbstractConnection

Command = Iterable[bytes | str | int]
OnAnswer = Callable[[Value], Awaitable[None]]

CONNECT_TIMEOUT = 0.5  # seconds, greeting included
PING_EVERY = 0.75  # seconds
PING_TIMEOUT = 1.0  # seconds; with the interval less than two, within which a silent Redis is noticed
SEND_TIMEOUT = 1.0  # seconds until the kernel takes a command
LOOKS = 4  # a loop that stood still, or a process that was stopped, uses up one of these and not the whole time


class LinkLost(ConnectionError):
    """Redis is gone, or does not answer."""


class Link:
    """Reads for itself alone: `read` is called by one task only."""

    def __init__(self, connection: AbstractConnection) -> None:
        """`connection` is open, and closed by whoever opened it."""
        self._connection = connection
        self._awaited: deque[OnAnswer] = deque()
        self._sending = asyncio.Lock()
        self._signs_of_life = 0

    async def send(self, *commands: Command, on_answers: Iterable[OnAnswer] = ()) -> None:
        """Send commands at once. SUBSCRIBE and UNSUBSCRIBE have no answer, every other one needs its `on_answers`."""
        async with asyncio.timeout(SEND_TIMEOUT), self._sending:
            if not self._connection.is_connected:  # the library would open it again, without what was subscribed
                raise LinkLost("the connection was lost")
            self._awaited.extend(on_answers)
            packed = self._connection.pack_commands(commands)
            await self._connection.send_packed_command(packed, check_health=False)

    async def read(self) -> tuple[bytes, bytes] | None:
        """The channel and the payload of the next message; None where something else came.

        Answers go to who asked. Raises Redis's own error where the answer is one.
        """
        came = await self._connection.read_response(disable_decoding=True, timeout=math.inf, push_request=True)
        self._signs_of_life += 1
        if isinstance(came, list) and came and isinstance(came[0], bytes):  # no answer to ours begins with bytes
            return (came[1], came[2]) if came[0] == b"message" else None
        await self._awaited.popleft()(came)
        return None

    async def watch(self) -> None:
        """Raise `LinkLost` once Redis has been silent for too long, until cancelled."""
        while True:
            await asyncio.sleep(PING_EVERY)
            before = self._signs_of_life
            await self.send(("PING",), on_answers=[_nothing])
            await self._sign_of_life_since(before)

    async def _sign_of_life_since(self, before: int) -> None:
        for _ in range(LOOKS):
            await asyncio.sleep(PING_TIMEOUT / LOOKS)
            if self._signs_of_life > before:
                return
        raise LinkLost(f"no answer within {PING_TIMEOUT:g} s")


async def _nothing(_: Value) -> None:
    """A sign of life is all that was wanted."""


@asynccontextmanager
async def open_link(settings: RedisSettings) -> AsyncIterator[Link]:
    """Connect, once. Raises what the client library raises, `OSError` or `TimeoutError`."""
    connection = bare_connection(settings)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await connection.connect()  # type: ignore[no-untyped-call]
        yield Link(connection)
    finally:
        await connection.disconnect(nowait=True)
