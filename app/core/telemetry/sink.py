"""Where log lines leave the process: whole, in order, and at the cost of no request.

A pipe that nobody reads is full after 64 KiB, and a write to it waits for ever; one whose reader has gone raises.
Neither may reach the handler that only wanted to log.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

# As much as a pipe that is ready for writing takes without waiting, in bytes (pipe(7)).
AT_ONCE = select.PIPE_BUF
# What is kept for a reader that has stopped for a while, in bytes; beyond it lines are counted and lost.
ROOM = 1 << 20


class Sink:
    """Writes lines to a stream that may be slow, full, closed or gone."""

    def __init__(self, stream: TextIO, *, lost: Callable[[int], str]) -> None:
        """`lost` makes the line that tells how many had to be dropped, once there is room again."""
        self._stream = stream
        self._fd = _descriptor(stream)
        self._poll = select.poll()
        if self._fd is not None:
            self._poll.register(self._fd, select.POLLOUT)
        # Reentrant: a destructor may run, and log, while its thread is in here.
        self._lock = threading.RLock()
        self._waiting = bytearray()
        self._dropped = 0
        self._tell_lost = lost

    def write(self, line: str) -> None:
        """Take one line, without its newline; never waits, never raises."""
        if self._fd is None:
            with suppress(OSError, ValueError):
                self._stream.write(f"{line}\n")
                self._stream.flush()
            return
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            self._drain(self._fd)
            if self._waiting or self._dropped or len(data) > AT_ONCE:
                self._keep(data)
                self._drain(self._fd)
            elif unwritten := self._offer(self._fd, data):
                self._keep(unwritten)

    def _keep(self, data: bytes | bytearray) -> None:
        if len(self._waiting) > ROOM:
            self._dropped += 1
            return
        if self._dropped:
            self._waiting += self._tell_lost(self._dropped).encode() + b"\n"
            self._dropped = 0
        self._waiting += data

    def _drain(self, fd: int) -> None:
        while self._waiting:
            part = self._waiting[:AT_ONCE]
            unwritten = self._offer(fd, part)
            del self._waiting[: len(part) - len(unwritten)]
            if unwritten:
                return

    def _offer(self, fd: int, data: bytes | bytearray) -> bytes | bytearray:
        """Write what can be written without waiting; returns the rest."""
        try:
            return data[os.write(fd, data) :] if self._poll.poll(0) else data
        except BlockingIOError:
            return data  # somebody made it non-blocking, and it is full
        except OSError:
            return b""  # the reader has gone for good


def _descriptor(stream: TextIO) -> int | None:
    """The file below a stream; None for one that is in memory or closed."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
