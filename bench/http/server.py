"""One running contestant: its processes, what they use, and their log, which is read and dropped as by a container."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import psutil

from app.core.settings import PROJECT_ROOT
from bench.http.contestants import Contestant, Place
from tests.harness.processes import family, kill_family
from tests.harness.waiting import eventually

START_LIMIT = 30.0  # seconds
PIECE = 1 << 16  # bytes of a log that are read at once
MIB = 1 << 20


class NoStart(Exception):
    """A contestant does not answer."""


@dataclass(frozen=True)
class Server:
    """One that answers; `log` has the last pieces of its log."""

    url: str
    pid: int
    log: deque[bytes]

    def said(self) -> str:
        """The end of its log."""
        return b"".join(self.log).decode(errors="replace")

    def cpu(self) -> float:
        """Seconds of CPU that it has taken so far."""
        return cpu_of(self.pid)

    def memory(self) -> float:
        """MiB that are resident, of all its processes together."""
        return sum(process.memory_info().rss for process in family(self.pid)) / MIB


def cpu_of(pid: int) -> float:
    """Seconds of a process and of all below it, those that have ended included."""
    ended = psutil.Process(pid).cpu_times()
    seconds = float(ended.children_user + ended.children_system)
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


@asynccontextmanager
async def serving(contestant: Contestant, place: Place) -> AsyncIterator[Server]:
    """Started, and answering `/health/live`. Raises `NoStart` with the end of its log."""
    command = contestant.command(place)
    process = await asyncio.create_subprocess_exec(
        *command.arguments,
        cwd=PROJECT_ROOT,
        env=command.environ,
        stdin=asyncio.subprocess.PIPE,  # it ends with this process, whose tests.harness.serve watches it
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    server = Server(f"http://127.0.0.1:{place.port}", process.pid, deque(maxlen=4))
    reading = asyncio.create_task(_drain(process, server.log))
    try:
        await _answering(contestant, server, process)
        yield server
    finally:
        if process.returncode is None:
            kill_family(process.pid)
        await process.wait()
        await reading


async def _answering(contestant: Contestant, server: Server, process: asyncio.subprocess.Process) -> None:
    async def ready() -> bool:
        return process.returncode is not None or await _is_live(server.url)

    with contextlib.suppress(AssertionError):
        await eventually(ready, within=START_LIMIT)
    if process.returncode is not None or not await _is_live(server.url):
        raise NoStart(f"{contestant.name} does not answer:\n{server.said()}")


async def _is_live(url: str) -> bool:
    async with httpx.AsyncClient(timeout=START_LIMIT) as client:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get(f"{url}/health/live")).is_success
    return False


async def _drain(process: asyncio.subprocess.Process, log: deque[bytes]) -> None:
    assert process.stdout is not None  # noqa: S101  (told to the type checker)
    while piece := await process.stdout.read(PIECE):
        log.append(piece)
