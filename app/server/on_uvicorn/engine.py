"""The application on uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import ceil

import uvicorn
from quart import Quart

from app.server.engine import Connections, contained
from app.server.on_uvicorn.config import EngineConfig
from app.server.on_uvicorn.protocol import StrictProtocol


class StartFailed(RuntimeError):
    """The application did not begin its lifespan; why stands in the log."""


class EngineServer(uvicorn.Server):
    """uvicorn's, which stops when it is asked: the signals are ours."""

    config: EngineConfig

    def __init__(self, config: EngineConfig, asked: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self.asked = asked

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        stopping = asyncio.ensure_future(self.asked())
        stopping.add_done_callback(self._stop)
        try:
            await super().main_loop()
        finally:
            stopping.cancel()
        await stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.connections.stopping = True
        await super().shutdown(sockets)

    def _stop(self, _: asyncio.Future[None]) -> None:
        self.should_exit = True


async def run(
    app: Quart,
    listener_fd: int,
    *,
    backlog: int,
    keep_alive: float,
    connections: Connections,
    shutdown_trigger: Callable[[], Awaitable[None]],
    last_resort: float,
) -> None:
    """Serve until `shutdown_trigger` returns and every connection has ended; an idle one is kept for `keep_alive` s.

    Raises `StartFailed`.
    """
    config = EngineConfig(
        contained(app),
        connections,
        interface="asgi3",
        http=StrictProtocol,
        ws="none",
        loop="none",  # it runs already
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # see app/web/proxies.py
        server_header=False,
        workers=1,
        backlog=backlog,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=ceil(last_resort),
    )
    server = EngineServer(config, shutdown_trigger)
    with socket.socket(fileno=listener_fd) as listener:
        try:
            await server.serve([listener])
        except SystemExit as error:
            raise StartFailed(StartFailed.__doc__) from error
