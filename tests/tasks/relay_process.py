"""Relays in processes of their own, to be killed and frozen.

Each is forked from one that has imported everything: a start then takes a hundredth of the processor's time, and a
relay can be killed as often as a test wants. `python -m tests.tasks.relay_process ROOT` reads what to start, line by
line: `plain`, or `floor` for one that takes each look for a slow one, so that it searches from its floor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.core.beside import beside
from app.core.lifecycle import Lifecycle
from app.core.resources import open_resources
from app.core.settings import PROJECT_ROOT, Settings, load_settings
from app.tasks import Registry, relay_floor
from app.tasks.hints import Hints
from app.tasks.listener import Listener
from app.tasks.relay import Relay
from tests.harness.settings import TestSettings
from tests.tasks.events import hears

START_LIMIT = 60.0  # seconds; a loaded machine, not a slow relay
REGISTRY = Registry(subscribers=[hears("a"), hears("b")])
OVERRIDES = ("log.level=error", "worker.poll_interval=0.05")


async def relay(settings: Settings) -> None:
    hints = Hints()
    async with (
        open_resources(settings, Lifecycle()) as resources,
        beside(Listener(resources, hints).run(), name="listener"),
    ):
        say("ready", os.getpid())
        await Relay(resources, REGISTRY, hints).run()


def say(*words: object) -> None:
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


def serve(root: str) -> None:
    """Until the test closes the input; then all relays end with this process, also where it is killed."""
    settings = load_settings(root=Path(root), overrides=OVERRIDES, secrets_folder=Path(root, "secrets"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    open_while_alive, kept_open = os.pipe()
    for line in sys.stdin:
        if os.fork() == 0:
            os.close(kept_open)
            run_child(settings, line.strip(), open_while_alive)


def run_child(settings: Settings, how: str, open_while_alive: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    threading.Thread(target=end_at_eof, args=[open_while_alive], daemon=True).start()
    if how == "floor":
        relay_floor.SLOW = relay_floor.SLOW_EVENT = -1.0
    try:
        asyncio.run(relay(settings))
    finally:
        os._exit(1)


def end_at_eof(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGKILL)


class Relays:
    """Starts them; those that still live end with the block."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def start(self, how: str = "plain") -> int:
        """Its process id, once it is at work."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{how}\n".encode())
        said: list[bytes] = []
        async with asyncio.timeout(START_LIMIT):
            async for line in self._process.stdout:
                said.append(line)
                if line.startswith(b"ready "):
                    return int(line.split()[1])
        raise AssertionError(b"".join(said).decode())


@asynccontextmanager
async def open_relays(settings: TestSettings) -> AsyncIterator[Relays]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.tasks.relay_process", str(settings.root)),
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **settings.environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdin is not None
    try:
        yield Relays(process)
    finally:
        process.kill()
        await process.wait()
        process.stdin.close()


if __name__ == "__main__":
    serve(sys.argv[1])
