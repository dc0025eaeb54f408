"""What could not be said while Redis was away: remembered within a bound, and said later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 10_000


class Owed(Generic[T]):
    """Each thing once, in order. Above the bound they are no longer told apart: then `everything` is owed."""

    def __init__(self, most: int = MOST) -> None:
        self.everything = False
        self._most = most
        self._items: dict[T, None] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return self.everything or bool(self._items)

    def add(self, item: T) -> None:
        if self.everything:
            return
        self._items[item] = None
        if len(self._items) > self._most:
            self.everything = True
            self._items.clear()

    @contextmanager
    def paying(self, most: int) -> Iterator[list[T]]:
        """The first few. They are owed again where the block fails, and what is added meanwhile stays owed."""
        batch = list(self._items)[:most]
        for item in batch:
            del self._items[item]
        try:
            yield batch
        except BaseException:
            for item in batch:
                self.add(item)
            raise

    @contextmanager
    def paying_everything(self) -> Iterator[bool]:
        """Whether everything is owed; the same again where the block fails."""
        owed, self.everything = self.everything, False
        try:
            yield owed
        except BaseException:
            self.everything |= owed
            raise
