"""One socket, as its own process sees it: what is written, and when its peer is too slow."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from app.core.metrics.sockets import SocketMetrics
from app.sockets.wire import CloseCode
from tests.sockets.paper import SEND_BUFFER, paper_connection


def test_a_frame_is_written_and_counted() -> None:
    registry = CollectorRegistry()
    connection, wire = paper_connection(metrics=SocketMetrics(registry))

    assert connection.send(b"frame")

    assert wire.frames == [b"frame"]
    assert registry.get_sample_value("plinth_websocket_messages_sent_total") == 1


@pytest.mark.parametrize(
    ("waiting", "size", "written"),
    [
        (0, 5, True),
        (0, SEND_BUFFER * 5, True),
        (SEND_BUFFER - 5, 5, True),
        (SEND_BUFFER - 5, 6, False),
        (5000, 1, False),
    ],
)
def test_no_more_than_the_buffer_waits_for_a_peer(waiting: int, size: int, written: bool) -> None:
    registry = CollectorRegistry()
    connection, wire = paper_connection(metrics=SocketMetrics(registry))
    wire.waiting = waiting

    assert connection.send(b"x" * size) is written

    assert bool(wire.frames) is written
    assert wire.close_code == (None if written else CloseCode.TRY_AGAIN_LATER)
    slow = registry.get_sample_value("plinth_websocket_dropped_total", {"reason": "slow"})
    assert slow == (None if written else 1)


def test_what_comes_after_the_end_is_ignored() -> None:
    connection, wire = paper_connection()

    connection.close(CloseCode.POLICY_VIOLATION, "signed out")
    connection.close(CloseCode.NORMAL)

    assert not connection.send(b"frame")
    assert (wire.close_code, wire.reason, wire.frames) == (1008, "signed out", [])


def test_a_connection_knows_its_user() -> None:
    assert paper_connection(user="ada")[0].user_id == "ada"
    assert paper_connection()[0].user_id is None
