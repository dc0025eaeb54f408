"""Several observers of one service, as one: metrics always watch, traces only where they are on."""

from __future__ import annotations

from app.core.database import DatabaseObserver
from app.core.redis import RedisObserver


class DatabaseObservers:
    """Tells each of them, in order."""

    def __init__(self, *observers: DatabaseObserver) -> None:
        self._observers = observers

    def acquired(self, seconds: float) -> None:
        for observer in self._observers:
            observer.acquired(seconds)

    def queried(self, name: str, outcome: str, seconds: float) -> None:
        for observer in self._observers:
            observer.queried(name, outcome, seconds)


class RedisObservers:
    """Tells each of them, in order."""

    def __init__(self, *observers: RedisObserver) -> None:
        self._observers = observers

    def commanded(self, command: str, outcome: str, seconds: float) -> None:
        for observer in self._observers:
            observer.commanded(command, outcome, seconds)
