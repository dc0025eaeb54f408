"""Shares work between checks without a task that nobody owns."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A question that several checks ask: the first one puts it, the others wait and hear the same answer.

    It is asked inside the first check's own task; where that one is cancelled, the next takes over.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._answer: list[T] = []

    async def __call__(self) -> T:
        async with self._lock:
            if not self._answer:
                self._answer.append(await self._ask())
            return self._answer[0]


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work beside the loop.

    Not `asyncio.to_thread`: its threads are joined at exit, so one that hangs on a dead network drive would
    keep the whole command from ending. A daemon thread is left behind.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[[], None]) -> None:
        if not done.done():
            setter()

    def report(setter: Callable[[], None]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, setter)

    def run() -> None:
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            report(lambda error=error: done.set_exception(error))  # type: ignore[misc]  # mypy knows no type of a default
        else:
            report(lambda: done.set_result(answer))

    threading.Thread(target=run, daemon=True).start()
    return await done


async def resolve(host: str) -> None:
    """Look a name up before a client does, whose own look-up would run in a thread that is joined at exit.

    Raises `socket.gaierror`.
    """
    await in_thread(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
