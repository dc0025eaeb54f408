"""Opens connections so that a request that is cancelled meanwhile doesn't waste one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from app.core.database import codecs
from app.core.database.driver import RawConnection, drop, is_gone
from app.core.database.rows import Value

Opening = asyncio.Task[RawConnection]


class Opener:
    """The pool's way to connect.

    asyncpg connects within the task that wants the connection, so a wave of cancelled requests would be a wave of
    logins that nobody uses. Here an opening goes on without its task, and the next one that wants a connection takes
    it over: there are never more openings and connections together than `pool_max`.
    """

    def __init__(self) -> None:
        self.opened = 0
        self._left: list[Opening] = []

    async def open(self, *args: Value, **options: Value) -> RawConnection:
        while opening := self._take():
            with suppress(Exception):  # its time began with somebody else: that it is over is no news of ours
                return await self._opened(opening)
        return await self._opened(asyncio.create_task(codecs.connect(*args, **options)))

    async def _opened(self, opening: Opening) -> RawConnection:
        try:
            raw = await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._left.append(opening)
            raise
        self.opened += 1
        return raw

    async def close(self) -> None:
        """Nothing that was left is kept."""
        left, self._left = self._left, []
        for opening in left:
            opening.cancel()
        for result in await asyncio.gather(*left, return_exceptions=True):
            if not isinstance(result, BaseException):
                drop(result)

    def _take(self) -> Opening | None:
        """The first one left that has not failed since."""
        while self._left:
            opening = self._left.pop()
            if not opening.done() or (opening.exception() is None and not is_gone(opening.result())):
                return opening
        return None
