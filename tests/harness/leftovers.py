"""Folders for the data of services: in memory where there is room, gone with the run, also with a killed one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "plinth-test-"
YOUNG = 60.0  # seconds; a run that is just starting may not hold its locks yet
ENOUGH = 4 << 30  # bytes; a container's default of 64 MiB is not
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (folders in it are made with a random name, for their owner only)


def fastest_place() -> Path:
    """Cloning a database makes a thousand files: 25 ms in memory, 400 ms on a disk that others keep busy."""
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ENOUGH:
        return SHARED_MEMORY
    return Path(tempfile.gettempdir())


@contextmanager
def service_folder(name: str) -> Iterator[Path]:
    """A folder that is gone at the end of the block; until then it is locked, so that no other run clears it away."""
    with (
        tempfile.TemporaryDirectory(
            prefix=f"{PREFIX}{name}-", dir=fastest_place(), ignore_cleanup_errors=True
        ) as folder,
        _opened(Path(folder)) as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield Path(folder)


def remove_dead_folders(parent: Path, *, older_than: float = YOUNG) -> None:
    """Remove what killed runs have left: their process is gone and so are their servers, so no lock is held.

    A server's own lock does not say enough: it is free while a living test has its server stopped.
    """
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or removed by another run at this moment
            if time.time() - folder.stat().st_mtime > older_than and not any(
                map(_held, (folder, *folder.glob(".*.lock")))
            ):
                shutil.rmtree(folder)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A folder can be locked as a file can."""
    lock = os.open(path, os.O_RDONLY)
    try:
        yield lock
    finally:
        os.close(lock)


def _held(path: Path) -> bool:
    with _opened(path) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
