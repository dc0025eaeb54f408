"""A transaction that stays open while others go on: a slow commit, a stalled worker, a crash in its middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from app.core.database import Database
from tests.harness.background import BackgroundLoop

T = TypeVar("T")


class _RollBack(Exception):
    pass


class Held(Generic[T]):
    """Runs `work` in a transaction of its own, and leaves that open until `end`; `answer` is what `work` gave."""

    def __init__(self, background: BackgroundLoop, db: Database, work: Callable[[], Awaitable[T]]) -> None:
        self._background = background
        self._db = db
        self._work = work
        self._running = background.call(self._begin())
        self.answer = background.call(self._wait_for_answer())

    async def _begin(self) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[bool] = loop.create_future()
        self._answer: asyncio.Future[T] = loop.create_future()
        return asyncio.create_task(self._hold())

    async def _wait_for_answer(self) -> T:
        return await self._answer

    async def _hold(self) -> None:
        with suppress(_RollBack):
            async with self._db.transaction():
                await self._answered()
                if not await self._verdict:
                    raise _RollBack

    async def _answered(self) -> None:
        try:
            self._answer.set_result(await self._work())
        except Exception as error:
            self._answer.set_exception(error)
            self._verdict.set_result(False)
            raise _RollBack from error

    @property
    def is_open(self) -> bool:
        return not self._verdict.done()

    def end(self, *, commit: bool) -> None:
        async def finish() -> None:
            self._verdict.set_result(commit)
            await self._running

        self._background.call(finish())
