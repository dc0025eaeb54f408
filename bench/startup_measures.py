"""Starts one server, and says when it first answered, what its log says of the way there, and what it holds at idle."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import psutil

from app.core.settings import PROJECT_ROOT
from bench.http.server import cpu_of
from bench.measures import Round

LOOK = 0.001  # seconds between two tries while nobody listens, or the answer is no 200
START_LIMIT = 60.0  # seconds
IDLE = 2.0  # seconds without a request before memory is read
MS, MB = 1000, 1_000_000
# What the log of `app serve` has at the ends of the phases of a start, by what the phase is called.
EVENTS = {"starting": "interpreter, imports, settings", "server_listening": "services", "": "first answer"}


@dataclass(frozen=True)
class Start:
    """How to start one; `paths` are what is asked for, by the keys that its times are given by."""

    command: Sequence[str]
    environ: Mapping[str, str]
    port: int
    paths: Mapping[str, str]


class NoStart(Exception):
    """A server has ended, or has not answered in time; with the end of its log."""


@dataclass
class Log:
    """What a server has said so far: its last lines, and when each event happened first."""

    last: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    events: dict[str, float] = field(default_factory=dict)

    async def read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.last.append(line.decode(errors="replace"))
            with suppress(ValueError, KeyError, TypeError):  # not everybody's log is JSON
                event = json.loads(line)
                self.events.setdefault(event["event"], datetime.fromisoformat(event["timestamp"]).timestamp())


async def measure(start: Start) -> Round:
    """Milliseconds from the start of the process to the first 200 of each path, and of CPU; MB of all its processes.

    Raises `NoStart`.
    """
    began = time.time()
    async with _started(start) as (process, log):
        when = await _answered(start, process, log)
        spent = cpu_of(process.pid) * MS
        await asyncio.sleep(IDLE)
        found = dict(zip(start.paths, ((at - began) * MS for at in when), strict=True))
        return {**found, "cpu": spent, **phases(began, log.events, min(when)), **_memory(process.pid)}


@asynccontextmanager
async def _started(start: Start) -> AsyncIterator[tuple[asyncio.subprocess.Process, Log]]:
    process = await asyncio.create_subprocess_exec(
        *start.command,
        cwd=PROJECT_ROOT,
        env=start.environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None  # noqa: S101  (told to the type checker: stderr is a pipe)
    log = Log()
    reading = asyncio.create_task(log.read(process.stderr))
    try:
        yield process, log
    finally:
        if process.returncode is None:
            process.terminate()  # some have children, which they end
        await process.wait()
        await reading


async def _answered(start: Start, process: asyncio.subprocess.Process, log: Log) -> list[float]:
    """When each path was first answered with a 200."""
    answers: asyncio.Task[list[float]] = asyncio.create_task(_answers(start))
    ended = asyncio.create_task(process.wait())
    await asyncio.wait([answers, ended], timeout=START_LIMIT, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if answers.done():
        return answers.result()
    answers.cancel()
    await asyncio.wait({answers})
    raise NoStart(f"{' '.join(start.command)} does not answer:\n{''.join(log.last)}")


async def _answers(start: Start) -> list[float]:
    return await asyncio.gather(*(first_answer(start.port, path) for path in start.paths.values()))


async def first_answer(port: int, path: str) -> float:
    """The time of the first 200."""
    while True:
        with suppress(OSError, EOFError):
            if await _status(port, path) == b"200":
                return time.time()
        await asyncio.sleep(LOOK)


async def _status(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readuntil(b"\r\n")).split(b" ")[1]
    finally:
        writer.close()


def phases(began: float, events: Mapping[str, float], answered: float) -> Round:
    """How long each phase took, in milliseconds; nothing where the log does not tell."""
    ends = {**events, "": answered}
    if not all(event in ends for event in EVENTS):
        return {}
    found, before = {}, began
    for event, phase in EVENTS.items():
        found[phase], before = (ends[event] - before) * MS, ends[event]
    return found


def _memory(pid: int) -> Round:
    root = psutil.Process(pid)
    taken = [process.memory_full_info() for process in (root, *root.children(recursive=True))]
    return {"rss": sum(each.rss for each in taken) / MB, "uss": sum(each.uss for each in taken) / MB}
