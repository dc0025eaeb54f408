"""What must not leave a task as it is: exceptions that asyncio, Quart or Python take for signals of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

# All but a cancellation, which the loop needs.
ANYTHING = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)


def is_cancelling() -> bool:
    """True where somebody cancels this task, rather than a CancelledError that code has let go astray."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Escaped(Exception):
    """Something came out that must not leave its task as it is; it is the cause."""


async def contained(running: Awaitable[None]) -> None:
    """Turn what asyncio or Quart would treat as a signal of their own into an ordinary exception."""
    try:
        await running
    except asyncio.CancelledError as error:
        if is_cancelling():
            raise
        raise Escaped("CancelledError") from error
    except (SystemExit, KeyboardInterrupt, GeneratorExit, TimeoutError) as error:
        raise Escaped(type(error).__name__) from error
