"""Starts servers by forking a process that has everything imported: what a test waits for is the start, not Python.

A forked server is as good as one of its own interpreter, but for what an interpreter does before `main`: that is what
a cold start is for, and for what is measured of a process: how long it takes to start, and its memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import BinaryIO

from app.core.settings import PROJECT_ROOT

CAN_FORK = hasattr(os, "pidfd_open") and os.environ.get("PLINTH_TEST_COLD", "") in ("", "0")  # where there is Linux


class Template:
    """The process that forks, one for each test process; started when the first server is."""

    def __init__(self) -> None:
        self._asked, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.harness.template", str(theirs.fileno())],
                cwd=PROJECT_ROOT,
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def ask(self, arguments: list[str], environ: Mapping[str, str], files: list[int]) -> None:
        start = arguments, dict(environ), resource.getrlimit(resource.RLIMIT_NOFILE)
        socket.send_fds(self._asked, [json.dumps(start).encode()], files)

    def close(self) -> None:
        self._asked.close()
        self._process.wait()


@cache
def template() -> Template:
    return Template()


def close_template() -> None:
    if template.cache_info().currsize:
        template().close()
        template.cache_clear()


class Forked:
    """As much of `asyncio.subprocess.Process` as an `AppProcess` needs, for a process that is not our child."""

    def __init__(self, pid: int, stdin: BinaryIO, stdout: asyncio.StreamReader, told: asyncio.StreamReader) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self.returncode: int | None = None
        self._ended = asyncio.create_task(self._hear_the_end(told))

    async def _hear_the_end(self, told: asyncio.StreamReader) -> int:
        self.returncode = int(await told.read())
        return self.returncode

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # ended, and about to be told
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def fork(arguments: list[str], environ: Mapping[str, str], *, limit: int) -> Forked:
    """Start `tests.harness.serve` with these arguments and nothing but `environ`; `limit` is the longest line of it."""
    (stdin, ours), (out, stdout), (end, told) = os.pipe(), os.pipe(), os.pipe()
    handed = [stdin, stdout, told]
    try:
        template().ask(arguments, environ, handed)
    finally:
        for file in handed:
            os.close(file)
    keeps_it = os.fdopen(ours, "wb", buffering=0)
    try:
        lines, ending = await _reader(out, limit), await _reader(end, limit)
        pid = await ending.readline()
        assert pid, "the process that forks servers has ended; its last words are among the captured errors"
        return Forked(int(pid), keeps_it, lines, ending)
    except BaseException:
        keeps_it.close()  # which ends it
        raise


async def _reader(file: int, limit: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=limit)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(file, "rb", buffering=0))
    return reader
