"""A process that has imported what a server needs, and forks one for each start: most of a start is its imports.

`python -m tests.harness.template FD`: over the socket FD comes one message for each start, with the files that are its
standard input and output, and one to which its pid and then its exit code are written. Nothing else is open here, and
no thread and no event loop runs, so that a fork is as good as new. It ends with the socket.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from typing import NamedTuple

from app.core.settings.sections.server import HttpEngine
from tests.harness import serve

# What the app imports when it first needs it. Not OpenTelemetry: without traces it is not to be there.
LATER = (
    "cryptography.fernet",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "databases.backends.postgres",
    "encodings.idna",
    "jwt",
    "redis.asyncio",
    "uvloop",
    "zxcvbn",
    *(f"app.server.on_{engine}.engine" for engine in HttpEngine),
)
MOST = 1 << 20  # bytes of one message
STANDARD = 3  # files: input, output, errors


class Start(NamedTuple):
    """What one process is started with, besides its files."""

    arguments: list[str]
    environ: dict[str, str]
    files: tuple[int, int]  # how many it may open, as the caller's limits say


def main(fd: int) -> int:
    for name in LATER:
        with suppress(Exception):  # a server that needs it says what is wrong with it
            import_module(name)
    gc.collect()
    gc.freeze()  # the collector writes to what it looks at, and each page that is written to is copied
    start = fork_each(socket.socket(fileno=fd))
    os.environ.clear()
    os.environ.update(start.environ)
    time.tzset()
    resource.setrlimit(resource.RLIMIT_NOFILE, start.files)
    sys.argv = [str(serve.__file__), *start.arguments]
    return serve.main(*start.arguments)


def fork_each(asked: socket.socket) -> Start:
    """Fork a process for each start that is asked for; in that process only, return what it is started with."""
    running: dict[int, tuple[int, int]] = {}  # by pidfd: the process, and where its end is told
    while True:
        ready, _, _ = select.select([asked.fileno(), *running], [], [])
        for ended in running.keys() & set(ready):
            _tell_the_end(ended, *running.pop(ended))
        if asked.fileno() in ready:
            message, files, _, _ = socket.recv_fds(asked, MOST, 3)
            if not message:
                os._exit(0)
            stdin, stdout, told = files
            if (pid := os.fork()) == 0:
                asked.detach()
                _take_over(stdin, stdout)
                return Start(*json.loads(message))
            os.close(stdin)
            os.close(stdout)
            _tell(told, pid)
            running[os.pidfd_open(pid)] = pid, told


def _take_over(stdin: int, stdout: int) -> None:
    os.setsid()
    for file, standard in (stdin, 0), (stdout, 1), (stdout, 2):
        os.dup2(file, standard)
    os.closerange(STANDARD, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _tell_the_end(pidfd: int, pid: int, told: int) -> None:
    _, status = os.waitpid(pid, 0)
    _tell(told, os.waitstatus_to_exitcode(status))
    os.close(told)
    os.close(pidfd)


def _tell(told: int, number: int) -> None:
    with suppress(BrokenPipeError):  # whoever asked is gone
        os.write(told, b"%d\n" % number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
