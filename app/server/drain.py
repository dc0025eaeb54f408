"""How the server goes away: told to the balancer first, felt by no request, over by a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import structlog
from quart import Websocket

from app.core.lifecycle import Lifecycle, Phase
from app.server.engine import Connections, stop_accepting
from app.server.latecomers import close_listener, turn_away
from app.server.listener import is_shared
from app.web.application import Application

log = structlog.get_logger(__name__)

TICK = 0.02  # seconds between looks at what is still open
CLOSE_DEADLINE = 1.0  # seconds for a peer to take its close frame or its last answer
SERVICE_RESTART = 1012  # close code, RFC 6455 registry


class Drain:
    """One shutdown: `announce` runs before the engine stops accepting, `finish` beside its stopping."""

    def __init__(
        self,
        app: Application,
        listener: socket.socket,
        engine_fd: int,
        connections: Connections,
        *,
        delay: float,
        timeout: float,
    ) -> None:
        """`delay` seconds of readiness 503 with open doors, then `timeout` seconds for what is running."""
        self.app = app
        self.lifecycle: Lifecycle = app.lifecycle
        self.listener = listener
        self.engine_fd = engine_fd
        self.connections = connections
        self.delay = delay
        self.timeout = timeout

    async def announce(self) -> None:
        """Turn readiness to 503, let balancers notice, then take nobody in."""
        self.lifecycle.phase = Phase.DRAINING
        log.info(
            "drain_started",
            delay=self.delay,
            requests=len(self.app.requests),
            connections=len(self.connections),
        )
        await asyncio.sleep(self.delay)
        await stop_accepting(self.engine_fd)
        log.info("listener_closing")

    async def finish(self) -> None:
        """Close sockets, wait for requests, cut the overlong ones, drop what does not read."""
        loop = asyncio.get_running_loop()
        # The engine's copy goes first: whoever closes last would otherwise reset those who wait in the queue.
        await self._until(lambda: not is_shared(self.listener, self.engine_fd), loop.time() + CLOSE_DEADLINE)
        late = asyncio.create_task(turn_away(close_listener(self.listener)))
        deadline = loop.time() + self.timeout
        await self._close_websockets()
        if not await self._until(lambda: not self.app.requests, deadline):
            log.warning("requests_cut", count=self.app.cut_requests())
            deadline += CLOSE_DEADLINE
        if not await self._until(lambda: not len(self.connections), deadline):
            log.warning("connections_dropped", count=self.connections.abort_all())
        await late
        log.info("drain_finished")

    async def _close_websockets(self) -> None:
        sockets = list(self.app.websockets.items())
        if sockets:
            log.info("websockets_closing", count=len(sockets))
        await asyncio.gather(*(_close_websocket(task, websocket) for task, websocket in sockets))

    async def _until(self, done: Callable[[], bool], deadline: float) -> bool:
        loop = asyncio.get_running_loop()
        while not done():
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(TICK)
        return True


async def _close_websocket(task: asyncio.Task[object], websocket: Websocket) -> None:
    # A peer that reads nothing would block the close frame for ever.
    with contextlib.suppress(TimeoutError, RuntimeError, ConnectionError):
        async with asyncio.timeout(CLOSE_DEADLINE):
            await websocket.close(SERVICE_RESTART, "service restart")
    task.cancel()
