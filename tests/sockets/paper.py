"""A socket on paper: a wire that keeps what is written, whose peer takes nothing unless the test says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry
from wsproto.connection import Connection as Peer
from wsproto.connection import ConnectionType
from wsproto.events import TextMessage

from app.core.callers import Caller
from app.core.metrics.sockets import SocketMetrics
from app.sockets.connection import Connection
from app.sockets.wire import CloseCode

SEND_BUFFER = 1000  # bytes


class PaperWire:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.heard = 0.0
        self.received = self.sent = self.waiting = self.taken = 0
        self.close_code: int | None = None
        self.reason = ""
        self.is_open = True

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)

    def ping(self) -> None:
        raise AssertionError("connections leave pings to the heartbeat")

    def close(self, code: int, reason: str = "") -> None:
        assert self.is_open, "closed twice"
        self.close_code, self.reason, self.is_open = code, reason, False

    def abort(self, code: int = CloseCode.ABNORMAL) -> None:
        self.close_code, self.is_open = code, False

    def on_gone(self, call: Callable[[], object]) -> None:
        raise AssertionError(f"only the edge asks when a peer is gone, not {call!r}")


def paper_connection(
    name: str = "one",
    *,
    user: str | None = None,
    metrics: SocketMetrics | None = None,
) -> tuple[Connection, PaperWire]:
    wire = PaperWire()
    connection = Connection(
        name,
        wire,
        caller=Caller(user) if user else None,
        client="127.0.0.1",
        connected_at=datetime.now(UTC),
        metrics=metrics or SocketMetrics(CollectorRegistry()),
        send_buffer=SEND_BUFFER,
    )
    return connection, wire


def decoded(*frames: bytes) -> list[Any]:
    """What a peer reads; it fails on what is no unmasked text frame."""
    peer = Peer(ConnectionType.CLIENT)
    peer.receive_data(b"".join(frames))
    events = list(peer.events())
    assert all(isinstance(event, TextMessage) and event.message_finished for event in events)
    assert len(events) == len(frames)
    return [json.loads(event.data) for event in events if isinstance(event, TextMessage)]
