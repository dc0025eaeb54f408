"""The real server in this process: only as far as its first log lines, or until it serves."""

from __future__ import annotations

import asyncio
import io
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn
from unittest.mock import patch

import structlog

from app.core.lifecycle import Lifecycle
from app.core.resources import Resources
from app.core.settings import Settings
from app.core.telemetry import NEVER_BELOW_INFO, QUIET, configure_logging
from app.feature import Feature
from app.server import Role, lifecycle, run_server
from app.server.lifecycle import ServicesFailed, _serve
from app.server.signals import STOP_SIGNALS


@dataclass(frozen=True)
class Start:
    """A start that was given up on: the loop it ran on, and the lines it logged."""

    loop: type[asyncio.AbstractEventLoop]
    lines: list[str]


def started(settings: Settings) -> Start:
    """Start up to the moment in which services are to be opened."""
    stream, loops = io.StringIO(), []

    def refuse(_: Settings) -> NoReturn:
        loops.append(type(asyncio.get_running_loop()))
        raise ServicesFailed("This is far enough.")

    logging_to_stream = partial(configure_logging, stream=stream)
    with _process_left_as_it_was(), patch.object(lifecycle, "configure_logging", logging_to_stream):
        run_server(settings, features=(), services=refuse)
    return Start(loops[0], stream.getvalue().splitlines())


@contextmanager
def _process_left_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers = root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in ("", *NEVER_BELOW_INFO, *QUIET)}
    signals = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        root.handlers[:] = handlers
        structlog.reset_defaults()


@dataclass(frozen=True)
class Served:
    """A running server; `stop` asks it to end, `ended` is done when it has, and ends it at once when cancelled."""

    url: str
    stop: asyncio.Event
    ended: asyncio.Task[None]


@asynccontextmanager
async def serving(settings: Settings, *features: Feature, role: Role = Role.SERVE) -> AsyncIterator[Served]:
    """Serve for the length of the block, with no signals and no logging of its own."""
    life = Lifecycle()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def tell(_: Resources, url: str) -> None:
        listening.set_result(url)

    serve = _serve(settings, features, life, nullcontext, tell, role)
    task = asyncio.create_task(serve)
    either: set[asyncio.Future[Any]] = {task, listening}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task  # raises why it does not serve
    try:
        yield Served(await listening, life.stop_requested, task)
    finally:
        life.stop_requested.set()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
