"""An application served by a real HTTP engine on a real port, inside the test's own event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import httpx
import pytest

from app.core.lifecycle import Lifecycle
from app.core.settings.sections.server import HttpEngine
from app.server.engine import Connections, engine_of
from app.server.listener import base_url, open_listener
from app.web import Application

Serving = Callable[[Application], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def application() -> Application:
    """An application without features; each test adds the routes it needs."""
    return Application("app", request_timeout=0.3, lifecycle=Lifecycle())


@pytest.fixture
def serving(engine: HttpEngine) -> Serving:
    """Serve an application for the length of a `with` block."""
    return partial(_serving, engine=engine)


@asynccontextmanager
async def _serving(app: Application, *, engine: HttpEngine) -> AsyncIterator[httpx.AsyncClient]:
    connections = Connections()
    listening, stop = asyncio.Event(), asyncio.Event()

    async def until_stopped() -> None:
        listening.set()
        await stop.wait()

    with open_listener("127.0.0.1", 0, backlog=64) as listener:
        serving = asyncio.create_task(
            engine_of(engine)(
                app,
                os.dup(listener.fileno()),
                backlog=64,
                keep_alive=75,
                connections=connections,
                shutdown_trigger=until_stopped,
                last_resort=1,
            )
        )
        await listening.wait()
        async with httpx.AsyncClient(base_url=base_url(listener), timeout=10) as client:
            yield client
        stop.set()
        connections.abort_all()
        await serving
