"""Commands of many tasks over few connections to Redis: each is sent at once, and answered in its turn.

Redis does one after the other anyway. A connection for each command that is under way, as the client library has it,
costs several times as much CPU (docs/decisions/0011-commands-share-connections.md).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

import hiredis

from app.core.patience import patience

if TYPE_CHECKING:  # see app/core/redis.py
    from redis.asyncio.connection import AbstractConnection

Value = Any
Argument = bytes | str | float

DEPTH = 32  # commands that wait on one connection before another one is opened
# Turns of the loop from the moment at which a command's time is over: so many until what has come meanwhile is read.
TURNS = 3
NOTHING_YET = object()


class LineLost(ConnectionError):
    """The connection to Redis was lost."""


class Line(asyncio.Protocol):
    """One connection, taken over once the library has opened it; an answer that nobody waits for any more is dropped.

    What waits to be sent has no bound of its own: whoever sends waits for the answer, and no longer than its time.
    """

    def __init__(self, connection: AbstractConnection, *, timeout: float) -> None:
        """`timeout` is in seconds, for each command."""
        from redis._parsers import BaseParser  # noqa: PLC0415  (see app/core/redis.py)
        from redis.exceptions import ConnectionError as Lost  # noqa: PLC0415
        from redis.exceptions import InvalidResponse  # noqa: PLC0415

        self.is_open = True  # takes commands
        self._connection = connection
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[asyncio.Future[Value], float]] = deque()  # in the order of their answers, and dues
        self._watching = False
        self._context = Context()  # the timer's, which is set anew again and again, for nobody's request
        self._ends = Lost  # an answer of this kind says so
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=NOTHING_YET
        )
        self._transport = connection._writer.transport  # type: ignore[union-attr]  # noqa: SLF001
        self._transport.set_protocol(self)
        if connection._reader.at_eof():  # type: ignore[union-attr]  # noqa: SLF001  (it is told to a protocol only once)
            self.lose(LineLost())

    @property
    def depth(self) -> int:
        return len(self._waiting)

    def ask(self, command: str, *arguments: Argument) -> asyncio.Future[Value]:
        """Send it. The answer is what Redis says, its own errors as exceptions, `TimeoutError` or `LineLost`."""
        packed = hiredis.pack_command((command, *arguments))  # type: ignore[arg-type]  # takes any number of them
        if not self.is_open:
            raise LineLost
        answer: asyncio.Future[Value] = self._loop.create_future()
        due = self._loop.time() + self._timeout
        self._waiting.append((answer, due))
        if not self._watching:
            self._watch(due)
        self._transport.write(packed)
        return answer

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (came := self._reader.gets(False)) is not NOTHING_YET:
                self._settle(came)
        except Exception as error:  # noqa: BLE001  (told to whoever waits)
            self.lose(error)

    def _settle(self, came: Value) -> None:
        if isinstance(came, self._ends):
            raise came
        if not self._waiting:
            raise LineLost("an answer to nothing")
        answer, _ = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(came, Exception):
            answer.set_exception(came)
        else:
            answer.set_result(came)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(LineLost(str(exc or "")))

    def lose(self, error: Exception) -> None:
        """Whoever still waits is told `error`."""
        self.is_open = False
        for answer, _ in self._waiting:
            if not answer.done():
                answer.set_exception(error)
        self._waiting.clear()
        self._transport.abort()
        self._connection._close()  # type: ignore[no-untyped-call]  # noqa: SLF001  (else it is opened, as far as the library knows)

    def _watch(self, due: float) -> None:
        """One timer for all, for the first that may be due: a timer each is what most would take back again."""
        self._watching = True
        self._loop.call_at(due, self._look, due, context=self._context)

    def _look(self, due: float) -> None:
        """`due` is what the timer was set to: a loop may count in milliseconds, and be early by a part of one."""
        self._watching = False
        now = max(due, self._loop.time())
        first = next((due for answer, due in self._waiting if not answer.done()), None)
        if first is None:
            self._close_if_left()
        elif first > now:
            self._watch(first)
        else:
            self._watching = True
            self._late(now, TURNS)

    def _late(self, now: float, turns: int) -> None:
        """A loop that is late itself must not take the time for Redis's: first it reads what has come."""
        if turns:
            self._loop.call_soon(self._late, now, turns - 1)
            return
        for answer, due in self._waiting:
            if due <= now and not answer.done():
                self.is_open = False  # what is silent is not asked again: the next command opens a new one
                answer.set_exception(TimeoutError())
        self._look(now)

    def _close_if_left(self) -> None:
        if not self.is_open:
            self.lose(LineLost())


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
        """Raises as `Line.ask` says; opens a connection where all have much to do."""
        line = self._quick() or await self._slow()
        return await line.ask(command, *arguments)

    def _quick(self) -> Line | None:
        for line in self._lines:
            if line.is_open and line.depth < DEPTH:
                return line
        return None

    async def _slow(self) -> Line:
        async with patience(self._timeout), self._opening:  # a crowd needs one more, not one each
            return self._quick() or await self._open()

    async def _open(self) -> Line:
        able = [line for line in self._lines if line.is_open]
        if len(able) >= self._most:
            return min(able, key=lambda line: line.depth)
        opened = Line(await self._connect(), timeout=self._timeout)
        self._lines = [*(line for line in self._lines if line.depth or line.is_open), opened]
        return opened

    async def close(self) -> None:
        """Whoever still waits is told `LineLost`."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.lose(LineLost())
        await asyncio.sleep(0)  # in which the transports end
