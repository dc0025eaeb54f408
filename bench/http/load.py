"""Lets wrk loose on a server: one thread, 32 connections, no pipelining, tokens in turn."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("load.lua")
MARK = b"RESULT "


class VoidRun(Exception):
    """A request failed while it was timed, so that the figure says nothing."""


@dataclass(frozen=True)
class Request:
    """What is sent; the tokens' file for those that need one."""

    method: str
    path: str
    tokens: Path | None = None


@dataclass(frozen=True)
class Load:
    """What came of it; latencies in ms."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def wrk() -> str:
    """Where it is, or a word on how to get it."""
    found = shutil.which("wrk")
    if found is None:
        sys.exit("There is no wrk. It is in Debian's package of that name: apt-get install wrk (as root)")
    return found


def wrk_version() -> str:
    said = subprocess.run([wrk(), "-v"], capture_output=True, text=True, check=False)  # noqa: S603  (it ends with 1)
    return said.stdout.split()[1].removeprefix("debian/")


async def send(url: str, request: Request, seconds: float) -> Load:
    """Raises `VoidRun` unless every request was answered with a status below 400."""
    process = await asyncio.create_subprocess_exec(
        wrk(),
        *("-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(SCRIPT), url),
        *("--", request.method, request.path, str(request.tokens or "-")),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode or MARK not in said:
        raise VoidRun(f"wrk ended with {process.returncode}: {said.decode()}")
    return load_of(json.loads(said.partition(MARK)[2].splitlines()[0]))


def load_of(said: dict[str, int]) -> Load:
    """Raises `VoidRun`."""
    if said["refused"] or said["broken"] or not said["requests"]:
        raise VoidRun(f"{said['refused']} of {said['requests']} requests were refused, {said['broken']} broken off")
    return Load(said["requests"], said["microseconds"] / 1e6, said["p50"] / 1000, said["p99"] / 1000)
