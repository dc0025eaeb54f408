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
# Turns of the loop from the moment at which a command's time is over: so many until what has come meanwhile is read.
TURNS = 3


class LineLost(ConnectionError):
    """The connection to Redis was lost."""


class Line:
    """One connection, which is open. An answer that nobody waits for any more is read and dropped."""

    def __init__(self, connection: AbstractConnection, *, timeout: float) -> None:
        """`timeout` is in seconds, for each command."""
        self._connection = connection
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[Value]] = deque()
        self._retired = False
        self._reading = asyncio.create_task(self._read(), name="redis line")

    @property
    def is_open(self) -> bool:
        """Whether it takes commands."""
        return not (self._retired or self._reading.done()) and bool(self._connection.is_connected)

    @property
    def depth(self) -> int:
        return len(self._waiting)

    async def run(self, command: str, *arguments: Argument) -> Value:
        """Raises `OSError`, `TimeoutError` among it, and what the client library raises, such as Redis's own errors."""
        packed = self._connection.pack_command(command, *arguments)
        if not self.is_open:  # the library would open it again, and mix up whose turn it is
            raise LineLost
        answer: asyncio.Future[Value] = self._loop.create_future()
        deadline = self._loop.call_later(self._timeout, self._late, answer, TURNS)
        self._waiting.append(answer)
        try:
            await self._connection.send_packed_command(packed, check_health=False)
            return await answer
        finally:
            answer.cancel()
            deadline.cancel()
            self._close_if_left()

    def _late(self, answer: asyncio.Future[Value], turns: int) -> None:
        """A loop that is late itself must not take the time for Redis's: first it reads what has come."""
        if answer.done():
            return
        if turns:
            self._loop.call_soon(self._late, answer, turns - 1)
            return
        self._retired = True  # what is silent is not asked again: the next command opens a new one
        answer.set_exception(TimeoutError())

    def _close_if_left(self) -> None:
        if self._retired and all(answer.done() for answer in self._waiting):
            self._reading.cancel()

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


class Lines:
    """At most so many connections, opened when they are needed."""

    def __init__(self, connect: Callable[[], Awaitable[AbstractConnection]], *, most: int, timeout: float) -> None:
        """`timeout` is in seconds, for opening one and for each command."""
        self._connect = connect
        self._most = most
        self._timeout = timeout
        self._lines: list[Line] = []
        self._opening = asyncio.Lock()

    async def run(self, command: str, *arguments: Argument) -> Value:
        """As `Line.run`; opens a connection where all have much to do."""
        line = self._quick() or await self._slow()
        return await line.run(command, *arguments)

    def _quick(self) -> Line | None:
        for line in self._lines:
            if line.depth < DEPTH and line.is_open:
                return line
        return None

    async def _slow(self) -> Line:
        async with asyncio.timeout(self._timeout), self._opening:  # a crowd needs one more, not one each
            return self._quick() or await self._open()

    async def _open(self) -> Line:
        able = [line for line in self._lines if line.is_open]
        if len(able) >= self._most:
            return min(able, key=lambda line: line.depth)
        opened = Line(await self._connect(), timeout=self._timeout)
        self._lines = [*(line for line in self._lines if line.depth or line.is_open), opened]
        return opened

    async def close(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            await line.close()
