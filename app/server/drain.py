"""How the server goes away: told to the balancer first, felt by no request, over by a deadline."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog

from app.core.lifecycle import Lifecycle, Phase
from app.server.engine import Connections, stop_accepting
from app.server.latecomers import close_listener, turn_away
from app.server.listener import is_shared
from app.sockets.hub import HUB, Hub
from app.sockets.manager import return_advice
from app.sockets.wire import CloseCode
from app.web.application import Application

log = structlog.get_logger(__name__)

TICK = 0.02  # seconds between looks at what is still open
CLOSE_DEADLINE = 1.0  # seconds for a peer to take its last answer
GOODBYE = 2.0  # seconds until the last socket is gone; each has a deadline of one second, from its own close frame on


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
        reconnect_spread: float,
    ) -> None:
        """`delay` seconds of readiness 503 with open doors, then `timeout` seconds for what is running.

        The clients of sockets are told to come back within `reconnect_spread` seconds, each at a time of its own.
        """
        self.app = app
        self.lifecycle: Lifecycle = app.lifecycle
        self.listener = listener
        self.engine_fd = engine_fd
        self.connections = connections
        self.delay = delay
        self.timeout = timeout
        self.reconnect_spread = reconnect_spread

    async def announce(self) -> None:
        """Turn readiness to 503, send sockets away, let balancers notice, then take nobody in."""
        self.lifecycle.phase = Phase.DRAINING
        log.info(
            "drain_started",
            delay=self.delay,
            requests=len(self.app.requests),
            connections=len(self.connections),
        )
        # Sockets do not wait for the balancer: a new handshake is refused from here on, and the return is spread.
        await self._until(lambda: False, asyncio.get_running_loop().time() + self.delay)
        await stop_accepting(self.engine_fd)
        log.info("listener_closing")

    async def finish(self) -> None:
        """Wait for sockets and requests, cut the overlong ones, drop what does not read."""
        loop = asyncio.get_running_loop()
        # The engine's copy goes first: whoever closes last would otherwise reset those who wait in the queue.
        await self._until(lambda: not is_shared(self.listener, self.engine_fd), loop.time() + CLOSE_DEADLINE)
        late = asyncio.create_task(turn_away(close_listener(self.listener)))
        goodbye, deadline = loop.time() + GOODBYE, loop.time() + self.timeout
        if not await self._until(lambda: not (self.app.requests or self.app.websockets), deadline):
            log.warning("requests_cut", count=self.app.cut_requests(), sockets=self.app.cut_websockets())
            # From now on: a loop that comes late owes them their answer all the same.
            deadline = loop.time() + CLOSE_DEADLINE
        await self._until(lambda: not self.connections.wires, goodbye)
        if not await self._until(lambda: not len(self.connections), deadline):
            log.warning("connections_dropped", count=self.connections.abort_all())
        await late
        log.info("drain_finished")

    def _send_sockets_away(self) -> None:
        """All that are open; again and again, for those whose handshake has ended meanwhile."""
        staying = [wire for wire in self.connections.wires if wire.is_open]
        if not staying:
            return
        log.info("websockets_closing", count=len(staying))
        hub: Hub | None = self.app.extensions.get(HUB)
        if hub is not None:
            hub.manager.shutdown_all()
        for wire in staying:
            if wire.is_open:  # of a route that knows no hub
                wire.close(CloseCode.SERVICE_RESTART, return_advice(self.reconnect_spread, delay=self.delay))

    async def _until(self, done: Callable[[], bool], deadline: float) -> bool:
        loop = asyncio.get_running_loop()
        while True:
            self._send_sockets_away()
            if done():
                return True
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(TICK)
