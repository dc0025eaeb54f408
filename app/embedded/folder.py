"""A server's data folder: who owns it, and the lock that lets only one server use it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import FolderInUse, FolderUnusable

# A server whose parent was killed needs a moment to write its data and end.
LOCK_WAIT = 15.0
LOCK_POLL = 0.02


@dataclass(frozen=True)
class Owner:
    """The system user that a server runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Folder:
    """A data folder while its lock is held; the server inherits `lock` and keeps it for its whole life."""

    path: Path
    owner: Owner | None
    lock: int

    @property
    def draft(self) -> Path:
        """Where data is prepared, to appear under its real name only when complete."""
        return self.path.parent / f".{self.path.name}.new"

    def give(self, path: Path) -> None:
        """Hand a file or folder over to the server's user."""
        if self.owner is not None:
            os.chown(path, self.owner.uid, self.owner.gid)


def owner_of(path: Path) -> Owner | None:
    """None means 'as we are'. Root must become somebody: the folder's owner, else `nobody`."""
    if os.geteuid() != 0:
        return None
    if path.exists() and (found := path.stat()).st_uid != 0:
        return Owner(found.st_uid, found.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Owner(nobody.pw_uid, nobody.pw_gid)


@asynccontextmanager
async def claim(path: Path) -> AsyncIterator[Folder]:
    """Hold the folder's lock, waiting for a server that is still ending.

    A free lock proves that no server of ours lives in the folder, whatever its leftover pid file says: after
    a crash or in a fresh container such a number may belong to any program.
    """
    lock = _open_lock(path)
    try:
        await _take(lock, path)
        yield Folder(path, owner_of(path), lock)
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path.parent / f".{path.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FolderUnusable(f"{error.strerror}: {error.filename}") from error


async def _take(lock: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT
    while not _locked(lock):
        if time.monotonic() >= deadline:
            raise FolderInUse(path)
        await asyncio.sleep(LOCK_POLL)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
