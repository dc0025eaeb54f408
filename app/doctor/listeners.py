"""Who listens on a TCP port of this machine: read from /proc, as a service has no psutil."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.doctor.words import user_name

PROC = Path("/proc")
LISTEN = "0A"
INTERPRETERS = ("python", "node", "ruby", "perl", "java", "bash", "sh", "php")


@dataclass(frozen=True)
class Listener:
    """A listening socket: its owner's user id is public, the process only to root and to that user."""

    uid: int
    pid: int | None = None
    program: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of user {user_name(self.uid)} (only that user and root may see which)"
        return f"{self.program}, process {self.pid}"


def listeners(port: int) -> list[Listener]:
    """Everyone who listens on `port`, on whatever address; empty where there is no /proc."""
    sockets = dict(_sockets(port))
    found = {inode: (pid, program_of(pid)) for inode, pid in _holders(set(sockets))}
    return sorted(
        {Listener(uid, *found.get(inode, (None, ""))) for inode, uid in sockets.items()},
        key=lambda listener: listener.pid or 0,
    )


def program_of(pid: int) -> str:
    """The program's name and, of an interpreter, the script's: nothing else, since arguments may hold passwords."""
    try:
        words = (PROC / str(pid) / "cmdline").read_text(errors="replace").strip("\0").split("\0")
    except OSError:
        return "a process that has just ended"
    name = Path(words[0].split(" ")[0].rstrip(":")).name
    if not name.startswith(INTERPRETERS) or len(words) < 2:
        return name
    if words[1] == "-m" and len(words) > 2:
        return f"{name} -m {words[2]}"
    return name if words[1].startswith("-") else f"{name} {Path(words[1]).name}"


def _sockets(port: int) -> Iterator[tuple[str, int]]:
    """The inode and the owner of each listening socket, see proc(5)."""
    for table in ("tcp", "tcp6"):
        for line in _lines(PROC / "net" / table):
            columns = line.split()
            if columns[3] == LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9], int(columns[7])


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except OSError:
        return []


def _holders(inodes: set[str]) -> Iterator[tuple[str, int]]:
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    if not wanted:
        return
    for process in PROC.glob("[0-9]*"):
        for target in _open_files(process):
            if target in wanted:
                yield wanted[target], int(process.name)


def _open_files(process: Path) -> Iterator[str]:
    for entry in _entries(process / "fd"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # closed since it was listed, which says nothing of those after it
        yield target


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # another user's process, or one that has ended
