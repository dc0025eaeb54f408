"""Slow work beside the loop: a few threads, and so many who wait as can be answered in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from app.features.identity.errors import HashingBusy

P = ParamSpec("P")
T = TypeVar("T")

WAITING = 16  # beyond those being served
RETRY_AFTER = 1  # seconds


class BoundedThreads:
    """Raises `HashingBusy` at once where too many wait already.

    A queue without an end would make everybody wait until nobody does any more.
    """

    def __init__(self, name: str, threads: int) -> None:
        """No thread is started before the first work."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + WAITING)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What it returns or raises.

        Where the caller has gone, what waits gives its place back at once, and what has begun when it ends: a thread
        can't be stopped.
        """
        if not self._places.acquire(blocking=False):
            raise HashingBusy(retry_after=RETRY_AFTER)
        try:
            future = self._threads.submit(work, *args, **kwargs)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: Future[T]) -> None:
        self._places.release()

    async def close(self) -> None:
        """What has begun ends first; what waits is cancelled."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
