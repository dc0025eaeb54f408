"""A test marked `alone` runs while no other test of the run does: what it measures is how long somebody has to wait."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """Two files that all processes of the run lock: a door, which everybody passes, and the room behind it.

    Who wants the room alone holds the door until it has it. Otherwise the others would go in and out for as long as
    there are tests, and it would never be empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def take(self, *, alone: bool) -> Iterator[None]:
        """Wait for the turn; however the process ends, its locks end with it."""
        door, room = self._folder / "door", self._folder / "room"
        with _locked(door, exclusive=True) as held, _locked(room, exclusive=alone):
            if not alone:
                fcntl.flock(held, fcntl.LOCK_UN)
            yield


@contextmanager
def _locked(path: Path, *, exclusive: bool) -> Iterator[int]:
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield lock
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)  # also for what was forked meanwhile and still has it open
        os.close(lock)
