"""The real server or worker in a process of its own, on a real port: signals, exit codes and logs are the real ones."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.core.settings import PROJECT_ROOT
from tests.harness import warm
from tests.harness.settings import TestSettings

START_LIMIT = 30.0  # seconds; a loaded machine, not a slow app
LINE = 1 << 20  # bytes of the longest line of its log
FAULT_ROUTES = "tests.harness.fault_routes"
FAULT_TASKS = "tests.harness.fault_tasks"  # and the same routes


class AppProcess:
    """A running server or worker. `logs` are its events so far; `http` is a client with `url` as its base."""

    def __init__(self, process: asyncio.subprocess.Process | warm.Forked) -> None:
        self.url = ""
        self.logs: list[dict[str, Any]] = []
        self.http = httpx.AsyncClient(timeout=60)
        self._process = process
        self._listening = asyncio.Event()
        self._reading = asyncio.create_task(self._read_logs())

    @property
    def pid(self) -> int:
        return self._process.pid

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.logs if line.get("event") == name]

    def terminate(self) -> None:
        """SIGTERM, as a container engine does it."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def wait(self, *, within: float) -> int:
        """The exit code; every line of its log has been read by then."""
        async with asyncio.timeout(within):
            code = await self._process.wait()
            await self._reading
        return code

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        await self.http.aclose()
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def listening(self) -> None:
        """Wait until it serves; fail with its log when it ends instead."""
        serving = asyncio.create_task(self._listening.wait())
        await asyncio.wait([serving, self._reading], timeout=START_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        if self._listening.is_set():
            return
        ended = f"ended with {await self._process.wait()}" if self._reading.done() else "does not serve yet"
        raise AssertionError(f"the app {ended}:\n" + "\n".join(map(json.dumps, self.logs)))

    async def _read_logs(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = _parse(line.decode(errors="replace"))
            self.logs.append(event)
            if event.get("event") == "server_listening":
                self.url = event["url"]
                self.http.base_url = httpx.URL(self.url)
                self._listening.set()


def _parse(line: str) -> dict[str, Any]:
    """What is not an event (a traceback of the interpreter) is kept as text."""
    try:
        event = json.loads(line)
    except ValueError:
        event = line.rstrip("\n")
    return event if isinstance(event, dict) else {"text": event}


async def _start_cold(arguments: list[str], environ: dict[str, str], *, limit: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.harness.serve", *arguments),
        cwd=PROJECT_ROOT,
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=limit,
    )


@asynccontextmanager
async def launch_app(
    settings: TestSettings,
    *overrides: str,
    module: str = FAULT_ROUTES,
    role: str = "serve",
    env: dict[str, str] | None = None,
    cold: bool = False,
) -> AsyncIterator[AppProcess]:
    """Start without waiting: for a start that is to fail, or to be interrupted; `role` is one of `app.server.Role`.

    A `cold` start has an interpreter of its own, as has one with a variable for it; others are forked.
    """
    usual = {"server.port": "0", "worker.port": "0", "log.format": "json"}
    options = usual | dict(pair.split("=", 1) for pair in overrides)
    arguments = [str(settings.root), module, f"--role={role}", *map("=".join, options.items())]
    environ = {"PATH": os.environ["PATH"], **settings.environ, **(env or {})}
    cold = cold or not warm.CAN_FORK or any(name.startswith("PYTHON") for name in environ)
    app = AppProcess(await (_start_cold if cold else warm.fork)(arguments, environ, limit=LINE))
    try:
        yield app
    finally:
        await app.close()
