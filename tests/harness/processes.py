"""Stops, stalls and counts processes: what the operating system does to a service on a bad day."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from app.embedded import PostgresServer


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started, the process itself first."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


@contextmanager
def stalled(pid: int) -> Iterator[None]:
    """SIGSTOP the whole family: connections stay open, nothing answers. SIGCONT at the end of the block."""
    parent = psutil.Process(pid)
    frozen = [parent]
    try:
        parent.suspend()
        frozen += parent.children(recursive=True)  # only now: who is stopped starts no more of them
        for process in frozen[1:]:
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                process.suspend()
        yield
    finally:
        for process in reversed(frozen):
            with suppress(psutil.NoSuchProcess):
                process.resume()


def kill_family(pid: int) -> None:
    """SIGKILL, all at once."""
    for process in family(pid):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """False for a process that has ended and only waits to be collected."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def title(process: psutil.Process) -> str:
    """Its command line, or what it has written over it; empty where it has ended."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def client_backends(server: PostgresServer) -> list[int]:
    """The processes that serve connections, which show their client's address in their title."""
    return [process.pid for process in family(server.pid)[1:] if "127.0.0.1(" in title(process)]


@dataclass(frozen=True)
class Census:
    """What a process holds; two of them, before and after, show a leak."""

    children: int
    threads: int
    files: int
    tasks: int

    def __sub__(self, earlier: Census) -> Census:
        return Census(
            self.children - earlier.children,
            self.threads - earlier.threads,
            self.files - earlier.files,
            self.tasks - earlier.tasks,
        )


def census(pid: int | None = None) -> Census:
    """Count for `pid`; tasks of the running loop are counted for this process only."""
    process = psutil.Process(pid)
    tasks = len(asyncio.all_tasks()) if pid is None else 0
    return Census(len(process.children(recursive=True)), process.num_threads(), process.num_fds(), tasks)
