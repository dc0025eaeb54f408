"""One open socket: who it belongs to, what it listens to, and how it is written to without waiting."""

from __future__ import annotations

from datetime import datetime

from app.core.callers import Caller
from app.core.metrics.sockets import SocketMetrics
from app.sockets.wire import CloseCode, Wire

TOO_SLOW = "too slow"


class Connection:
    """Held by the manager while it is open; compared and hashed by identity."""

    __slots__ = ("_metrics", "_most", "caller", "client", "connected_at", "id", "topics", "wire")

    def __init__(
        self,
        id_: str,
        wire: Wire,
        *,
        caller: Caller | None,
        client: str,
        connected_at: datetime,
        metrics: SocketMetrics,
        send_buffer: int,
    ) -> None:
        """`client` is the peer's address, `send_buffer` how many bytes may wait for it."""
        self.id = id_
        self.wire = wire
        self.caller = caller
        self.client = client
        self.connected_at = connected_at
        self.topics: set[str] = set()
        self._metrics = metrics
        self._most = send_buffer

    @property
    def user_id(self) -> str | None:
        return self.caller.id if self.caller else None

    @property
    def is_open(self) -> bool:
        return self.wire.is_open

    def send(self, frame: bytes) -> bool:
        """Write a whole frame; False where the socket is closed, or is now, because too much waits for its peer."""
        written = self.put(frame)
        if written:
            self._metrics.sent(1)
        return written

    def put(self, frame: bytes) -> bool:
        """As `send`, for those who count many frames at once."""
        wire = self.wire
        if not wire.is_open:
            return False
        waiting = wire.waiting
        # A frame that is larger than the buffer goes to a peer that keeps up.
        if waiting and waiting + len(frame) > self._most:
            self._metrics.dropped("slow")
            wire.close(CloseCode.TRY_AGAIN_LATER, TOO_SLOW)
            return False
        wire.write(frame)
        return True

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye; the manager forgets it when the peer has answered, or was given up."""
        if self.wire.is_open:
            self.wire.close(code, reason)
