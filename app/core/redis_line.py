"""Commands of many tasks over few connections to Redis: each is sent at once, and answered in its turn.

Redis does one after the other anyway. A connection for each command that is under way, as the client library has it,
costs twice as much CPU: it is sought, looked at and given back, and each command is read and written by itself.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # see app/core/redis.py
    from redis.asyncio.connection import AbstractConnection

Value = Any
Argument = bytes | str | float

DEPTH = 32  # commands that wait on one connection before another one is opened


class LineLost(ConnectionError):
    """The connection to Redis was lost, or given up."""


class Line:
    """One connection, which is open. An answer that nobody waits for any more is read and dropped."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._waiting: deque[asyncio.Future[Value]] = deque()
        self._reading = asyncio.create_task(self._read(), name="redis line")

    @property
    def is_open(self) -> bool:
        return bool(self._connection.is_connected) and not self._reading.done()

    @property
    def depth(self) -> int:
        return len(self._waiting)

    async def run(self, command: str, *arguments: Argument) -> Value:
        """Raises `OSError` and what the client library raises, Redis's own errors among it."""
        packed = self._connection.pack_command(command, *arguments)
        if not self.is_open:  # the library would open it again, and mix up whose turn it is
            raise LineLost
        answer: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except BaseException:
            answer.cancel()
            raise
        return await answer

    async def _read(self) -> None:
        lost: Exception = LineLost()
        try:
            while True:
                self._settle(await self._next())
        except Exception as error:  # noqa: BLE001  (told to whoever waits)
            lost = error
        finally:
            await self._connection.disconnect(nowait=True)
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(lost)

    async def _next(self) -> Value:
        from redis.exceptions import ResponseError  # noqa: PLC0415  (see app/core/redis.py)

        try:
            return await self._connection.read_response(disable_decoding=True, timeout=math.inf)
        except ResponseError as error:
            return error

    def _settle(self, came: Value) -> None:
        answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(came, Exception):
            answer.set_exception(came)
        else:
            answer.set_result(came)

    async def close(self) -> None:
        """Whoever still waits is told `LineLost`."""
        self._reading.cancel()
        await asyncio.wait({self._reading})

    def give_up(self) -> None:
        """Close without waiting for it."""
        self._reading.cancel()


class Lines:
    """At most so many connections, opened when they are needed."""

    def __init__(self, connect: Callable[[], Awaitable[AbstractConnection]], *, most: int) -> None:
        self._connect = connect
        self._most = most
        self._lines: list[Line] = []
        self._opening = asyncio.Lock()

    async def run(self, command: str, *arguments: Argument) -> Value:
        """As `Line.run`; opens a connection where all have much to do."""
        line = self._quick() or await self._open()
        return await line.run(command, *arguments)

    def _quick(self) -> Line | None:
        for line in self._lines:
            if line.depth < DEPTH and line.is_open:
                return line
        return None

    async def _open(self) -> Line:
        async with self._opening:  # a crowd needs one more, not one each
            if line := self._quick():
                return line
            self._lines = [line for line in self._lines if line.is_open]
            if len(self._lines) < self._most:
                self._lines.append(Line(await self._connect()))
                return self._lines[-1]
            return min(self._lines, key=lambda line: line.depth)

    def give_up(self) -> None:
        """What was silent is not asked again: the next command opens anew."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.give_up()

    async def close(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            await line.close()
