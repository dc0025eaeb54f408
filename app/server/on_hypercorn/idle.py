"""In the place of the task that Hypercorn makes for each idle time of a connection, and cancels with each request."""

from __future__ import annotations

from hypercorn.asyncio.worker_context import AsyncioSingleTask


class NoTask(AsyncioSingleTask):
    """The connection has a deadline of its own, which is moved."""

    def __init__(self) -> None:
        """Keeps nothing."""

    async def restart(self, *_: object) -> None: ...

    async def stop(self) -> None: ...


NO_TASK = NoTask()
