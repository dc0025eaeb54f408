"""The one place in the tests that waits for something to become true."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

POLL = 0.01


@overload
async def eventually(condition: Callable[[], Awaitable[T]], *, within: float) -> T: ...
@overload
async def eventually(condition: Callable[[], T], *, within: float) -> T: ...
async def eventually(condition: Callable[[], Any], *, within: float) -> Any:
    """Return the condition's first truthy answer; fail after `within` seconds, showing the last one.

    The condition may be a coroutine function, and may raise: that counts as 'not yet'.
    """
    deadline = time.monotonic() + within
    while True:
        answer, trouble = await _ask(condition, deadline)
        if answer:
            return answer
        if time.monotonic() >= deadline:
            name = getattr(condition, "__name__", repr(condition))
            last = repr(trouble or answer)
            raise AssertionError(f"{name} was not true within {within} s; last answer: {last}") from trouble
        await asyncio.sleep(POLL)


async def lateness(seconds: float) -> float:
    """Sleep, and return how much longer it took: what a busy machine adds to every timeout of this loop meanwhile."""
    began = time.monotonic()
    await asyncio.sleep(seconds)
    return time.monotonic() - began - seconds


async def _ask(condition: Callable[[], T | Awaitable[T]], deadline: float) -> tuple[T | None, BaseException | None]:
    try:
        async with asyncio.timeout(max(POLL, deadline - time.monotonic())):
            answer = condition()
            return (await answer if inspect.isawaitable(answer) else answer), None
    except Exception as error:  # noqa: BLE001  (whatever it is, it is shown if it lasts)
        return None, error
