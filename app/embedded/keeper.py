"""Holds one server process for its parent: passes stop signals on, and ends the server with its parent.

Run by path as a script (`python -I -S keeper.py SPEC`), so it imports the standard library only. It is a
process of its own because the other way, PR_SET_PDEATHSIG in the parent's `preexec_fn`, exists on Linux only,
fires when the *thread* that forked ends, and runs code in a forked copy of a threaded program.

Its parent holds the other end of standard input. A line with a number is a signal for the server; end of file
means that the parent is gone, however it went. The server's process id is the one line on standard output.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LINUX = sys.platform == "linux"
ORPHANS_GET = 5.0  # seconds for a dead server's own children (PostgreSQL backends) to notice by themselves
PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_CAP_AMBIENT = 1, 28, 36, 47
PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, CAPABILITY_VERSION_3 = 2, 1, 0x20080522
SECBIT_NO_SETUID_FIXUP = 1 << 2  # capabilities(7)


def prctl(option: int, value: int, extra: int = 0) -> None:
    if LINUX and ctypes.CDLL(None, use_errno=True).prctl(option, value, extra, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def become(uid: int, gid: int, reach: list[str]) -> None:
    """Give root away, as PostgreSQL demands.

    Folders above the data or the programs may be closed to everybody but root (a clone below /root is the usual
    case). Opening them would change what the person chose, so only then, and only on Linux, one capability is kept.
    """
    os.setgroups([])
    os.setgid(gid)
    os.seteuid(uid)
    closed = [path for path in reach if not os.access(path, os.X_OK, effective_ids=True)]
    os.seteuid(0)
    if closed:
        keep_capabilities(f"user id {uid} cannot reach {' or '.join(closed)}")
    os.setuid(uid)
    if closed:
        keep_only(CAP_DAC_OVERRIDE)


def keep_capabilities(why: str) -> None:
    """Let them survive the change of user, and count in access(2) too, by which PostgreSQL finds its programs."""
    if not LINUX:
        raise PermissionError(why)
    try:
        prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    except OSError as error:
        raise PermissionError(f"{why}, and root may not help it here") from error


def keep_only(capability: int) -> None:
    """Drop all others, and hand this one on to the server and its children."""
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def start(spec: dict[str, Any]) -> int:
    """Fork and exec the server; this process has one thread, so code between the two is safe."""
    if pid := os.fork():
        return pid
    try:
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(spec["stdin"], os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if spec["uid"] is not None:
            become(spec["uid"], spec["gid"], spec["reach"])
        prctl(PR_SET_PDEATHSIG, spec["stop_signal"])  # the keeper itself may be killed
        os.execv(spec["command"][0], spec["command"])  # noqa: S606  (a shell is what we do not want)
    except OSError as error:
        os.write(2, f"FATAL:  cannot start: {error}\n".encode())
    os._exit(127)


def parents() -> dict[int, int]:
    """Every process and its parent."""
    if not LINUX:
        lines = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid="], check=False, capture_output=True).stdout
        return {int(pid): int(parent) for pid, parent in (line.split() for line in lines.splitlines())}
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command's name stands in parentheses and may hold anything, also a parenthesis.
            found[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return found


def signal_family(number: int) -> None:
    """Signal every process below this one."""
    tree, family = parents(), {os.getpid()}
    while grown := {pid for pid, parent in tree.items() if parent in family} - family:
        family |= grown
    for pid in family - {os.getpid()}:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


class Keeper:
    """Waits for the parent, the server and a deadline, whichever comes first, until no process is left."""

    def __init__(self, pid: int, wake: int, spec: dict[str, Any]) -> None:
        self.pid, self.wake = pid, wake
        self.stop_signal: int = spec["stop_signal"]
        self.grace: float = spec["grace"]
        self.inputs = [sys.stdin.fileno(), wake]
        self.deadline = float("inf")
        self.code: int | None = None

    def run(self) -> int:
        while self.reap():
            ready, _, _ = select.select(self.inputs, [], [], min(60.0, max(0.0, self.deadline - time.monotonic())))
            if self.wake in ready and signal.SIGTERM in os.read(self.wake, 64):
                self.end(self.stop_signal)
            if sys.stdin.fileno() in ready:
                self.obey(os.read(sys.stdin.fileno(), 16))
            if time.monotonic() >= self.deadline:
                signal_family(signal.SIGKILL)
                self.deadline = time.monotonic() + 1
        return self.code or 0

    def reap(self) -> bool:
        """Collect who has ended; False when nobody is left."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not ended:
                return True
            if ended == self.pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.deadline = min(self.deadline, time.monotonic() + ORPHANS_GET)

    def obey(self, line: bytes) -> None:
        if not line:
            self.inputs = [self.wake]
        self.end(int(line) if line else self.stop_signal)

    def end(self, number: int) -> None:
        """Signal the server, and wake what was stopped: it would sleep through the end."""
        self.deadline = min(self.deadline, time.monotonic() + self.grace)
        if self.code is None:
            os.kill(self.pid, number)
        signal_family(signal.SIGCONT)


def main() -> int:
    spec = json.loads(sys.argv[1])
    heard, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the number arrives through the pipe
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # a dead server's children come here, so none can be overlooked
    pid = start(spec)
    os.write(sys.stdout.fileno(), f"{pid}\n".encode())
    return Keeper(pid, heard, spec).run() & 0xFF


if __name__ == "__main__":
    sys.exit(main())
