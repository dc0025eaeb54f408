"""Who is connected to this process: by connection, by user and by topic, each found in one step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import uniform

from app.core.metrics.sockets import SocketMetrics
from app.sockets.connection import Connection
from app.sockets.wire import CloseCode

SLICE = 500  # writes, after which others have their turn: a few milliseconds


def return_advice(spread: float, *, delay: float = 0.0) -> str:
    """When a client of a process that stops is to come back: `delay` seconds from now, and some of `spread` more."""
    return f"reconnect_after={delay + uniform(0, spread):.2f}"  # noqa: S311  (it spreads a crowd, and guards nothing)


class Manager:
    """The connections of one process. Nothing here waits for a peer."""

    def __init__(self, metrics: SocketMetrics, *, reconnect_spread: float, drain_delay: float = 0.0) -> None:
        """Both in seconds; for `drain_delay` a balancer may still send those who return to this very process."""
        self._metrics = metrics
        self._spread = reconnect_spread
        self._delay = drain_delay
        self._stopping = False
        self._by_id: dict[str, Connection] = {}
        self._by_user: dict[str, set[Connection]] = {}
        self._by_topic: dict[str, set[Connection]] = {}
        self._in_order = asyncio.Lock()

    def add(self, connection: Connection) -> None:
        """Enter a connection; while the process stops, it is sent away. Raises `ValueError` on a known id."""
        if connection.id in self._by_id:
            raise ValueError("There is a connection of this id.")
        self._by_id[connection.id] = connection
        if connection.user_id is not None:
            self._by_user.setdefault(connection.user_id, set()).add(connection)
        if self._stopping:
            self._send_away(connection)

    def remove(self, connection: Connection) -> tuple[str, ...]:
        """Forget a connection; gives the topics that it has listened to. Once more does nothing."""
        if not self._knows(connection):
            return ()
        del self._by_id[connection.id]
        if connection.user_id is not None:
            _discard(self._by_user, connection.user_id, connection)
        heard = tuple(connection.topics)
        for topic in heard:
            self.unsubscribe(connection, topic)
        return heard

    def _knows(self, connection: Connection) -> bool:
        return self._by_id.get(connection.id) is connection

    def get(self, connection_id: str) -> Connection | None:
        return self._by_id.get(connection_id)

    def get_by_user(self, user_id: str) -> tuple[Connection, ...]:
        """All connections of a user, as they are now."""
        return tuple(self._by_user.get(user_id, ()))

    def everybody(self) -> tuple[Connection, ...]:
        """All connections, as they are now."""
        return tuple(self._by_id.values())

    def connection_count(self) -> int:
        return len(self._by_id)

    def subscribe(self, connection: Connection, topic: str) -> bool:
        """False where it listens already, or is not entered."""
        if topic in connection.topics or not self._knows(connection):
            return False
        self._by_topic.setdefault(topic, set()).add(connection)
        connection.topics.add(topic)
        return True

    def unsubscribe(self, connection: Connection, topic: str) -> bool:
        """False where it has not listened."""
        if topic not in connection.topics:
            return False
        connection.topics.discard(topic)
        _discard(self._by_topic, topic, connection)
        return True

    def listeners(self, topic: str) -> tuple[Connection, ...]:
        """Who listens to a topic, as it is now."""
        return tuple(self._by_topic.get(topic, ()))

    def topics(self) -> tuple[str, ...]:
        """All topics that somebody listens to, as they are now."""
        return tuple(self._by_topic)

    async def deliver(self, topic: str, frame: bytes) -> int:
        """Write a frame to all who listen, and say how many were written to."""
        return await self._write(self.listeners(topic), lambda listener: topic in listener.topics, frame)

    async def broadcast(self, frame: bytes) -> int:
        """Write a frame to all connections of this process, and say how many were written to."""
        return await self._write(self.everybody(), self._knows, frame)

    async def _write(self, receivers: tuple[Connection, ...], stays: Callable[[Connection], bool], frame: bytes) -> int:
        """In the order of the calls; whoever has left meanwhile is passed over."""
        written = 0
        async with self._in_order:
            for number, receiver in enumerate(receivers, start=1):
                if stays(receiver) and receiver.put(frame):
                    written += 1
                if number % SLICE == 0:
                    await asyncio.sleep(0)
        self._metrics.sent(written)
        return written

    def shutdown_all(self) -> int:
        """Tell everybody that the process stops, and when to come back; gives how many were told."""
        self._stopping = True
        leaving = [connection for connection in self.everybody() if connection.is_open]
        for connection in leaving:
            self._send_away(connection)
        return len(leaving)

    def _send_away(self, connection: Connection) -> None:
        connection.close(CloseCode.SERVICE_RESTART, return_advice(self._spread, delay=self._delay))


def _discard(index: dict[str, set[Connection]], key: str, connection: Connection) -> None:
    """A key that nobody is left under goes, too."""
    holders = index[key]
    holders.discard(connection)
    if not holders:
        del index[key]
