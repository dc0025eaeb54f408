"""A server process of ours and the keeper that holds it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.embedded.folder import Folder

KEEPER = Path(__file__).with_name("keeper.py")
LOG_LIMIT = 10_000_000  # bytes; a longer log is begun anew at the next start


@dataclass(frozen=True)
class Launch:
    """What to run, and how it wants to end: `grace` seconds after `stop_signal` it is killed."""

    command: tuple[str, ...]
    log: Path
    stop_signal: signal.Signals
    grace: float = 10.0
    stdin: Path = Path(os.devnull)


class Child:
    """Alive until stopped, or until this process is gone, however it went."""

    def __init__(self, keeper: subprocess.Popen[bytes], pid: int) -> None:
        self.pid = pid
        self._keeper = keeper

    @classmethod
    def start(cls, launch: Launch, folder: Folder) -> Child:
        """Start in a session of its own: Ctrl-C in a terminal goes to the app, which stops its servers last."""
        if launch.log.exists() and launch.log.stat().st_size > LOG_LIMIT:
            launch.log.unlink()
        keeper = subprocess.Popen(  # noqa: S603  (our own interpreter and file)
            [sys.executable, "-I", "-S", str(KEEPER), _spec(launch, folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[folder.lock],
            start_new_session=True,
            bufsize=0,
        )
        assert keeper.stdout is not None  # noqa: S101  (told to the type checker: stdout is a pipe)
        with keeper.stdout as told:
            return cls(keeper, int(told.readline()))

    @property
    def ended(self) -> bool:
        """Whether the server and every process it made are gone."""
        return self._keeper.poll() is not None

    async def stop(self, number: signal.Signals) -> int:
        """Signal the server and wait until nothing of it is left; killed after its grace."""
        if self._keeper.stdin is not None:
            with suppress(BrokenPipeError, ValueError):  # it has ended by itself, maybe long ago
                self._keeper.stdin.write(b"%d\n" % number)
        return await self.wait()

    async def wait(self) -> int:
        """The server's exit code, once nothing of it is left."""
        code = await asyncio.to_thread(self._keeper.wait)
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        return code


def _spec(launch: Launch, folder: Folder) -> str:
    return json.dumps(
        {
            "command": launch.command,
            "log": str(launch.log),
            "stdin": str(launch.stdin),
            "stop_signal": launch.stop_signal,
            "grace": launch.grace,
            "uid": folder.owner.uid if folder.owner else None,
            "gid": folder.owner.gid if folder.owner else None,
            "reach": [launch.command[0], str(folder.path.parent)],
        }
    )
