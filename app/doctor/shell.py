"""Runs other programs: never longer than their deadline, and never leaving one behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 4.0  # seconds; below the deadline of a check, so that the check can still say what it waited for


class NotInstalled(Exception):
    """The program is not on the PATH."""


@dataclass(frozen=True)
class Said:
    """What a program answered; `code` None when it did not end in time."""

    code: int | None
    out: str
    err: str

    @property
    def fine(self) -> bool:
        return self.code == 0

    @property
    def reason(self) -> str:
        """Its complaint, on one line."""
        return " ".join((self.err or self.out).split())


async def run(
    *command: str, environ: Mapping[str, str], folder: Path | None = None, patience: float = PATIENCE
) -> Said:
    """Raises `NotInstalled`."""
    program = shutil.which(command[0], path=environ.get("PATH", os.defpath))
    if program is None:
        raise NotInstalled(command[0])
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        cwd=folder,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(patience):
            out, err = await process.communicate()
    except TimeoutError:
        return Said(None, "", f"no answer within {patience:g} s")
    finally:
        await _end(process)
    return Said(process.returncode, out.decode(errors="replace").strip(), err.decode(errors="replace").strip())


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what still runs, its plugins included: `docker compose` is a child of `docker`."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
