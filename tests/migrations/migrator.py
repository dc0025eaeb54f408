"""`app migrate` in a process of its own, and what it said."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from app.core.settings import PROJECT_ROOT
from tests.harness.settings import TestSettings

LIMIT = 100.0  # seconds; a loaded machine, not a slow migrator


@dataclass(frozen=True)
class Ended:
    """The end of a migrator: its exit code, its events, and what it printed."""

    code: int
    events: list[dict[str, Any]]
    stdout: str
    stderr: str

    def revisions(self, event: str) -> list[str]:
        return [line["revision"] for line in self.events if line["event"] == event]


class Migrator:
    """A running `app migrate`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def kill(self) -> None:
        """SIGKILL: no clean-up, no good-bye to the server."""
        self._process.kill()

    async def end(self) -> Ended:
        async with asyncio.timeout(LIMIT):
            stdout, stderr = await self._process.communicate()
        lines = stderr.decode().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        assert self._process.returncode is not None
        return Ended(self._process.returncode, events, stdout.decode(), stderr.decode())


@asynccontextmanager
async def launch(settings: TestSettings, *arguments: str, **env: str) -> AsyncIterator[Migrator]:
    """`app migrate ARGUMENTS`, killed at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app", "migrate", *arguments),
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **settings.environ, "APP_LOG__FORMAT": "json", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Migrator(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
