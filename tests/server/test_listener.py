"""The listening socket: bound with a clear error, closed without resetting anyone who had connected."""

from __future__ import annotations

import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic

import pytest

from app.server.listener import PortTaken, base_url, open_listener, queue_is_empty, refuse_new_connections

CLIENTS = 20


def test_a_taken_port_is_named() -> None:
    with open_listener("127.0.0.1", 0, backlog=8) as first:
        port = first.getsockname()[1]

        with pytest.raises(PortTaken) as refused:
            open_listener("127.0.0.1", port, backlog=8)

    assert str(refused.value) == (
        f"127.0.0.1:{port} is in use by another program; `app doctor` says which, --port {port + 1} takes another"
    )


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:8000: Cannot assign requested address"):
        open_listener("192.0.2.1", 8000, backlog=8)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],
)
def test_the_url_is_one_that_can_be_typed(host: str, shown: str) -> None:
    with open_listener(host, 0, backlog=8) as listener:
        assert base_url(listener) == f"http://{shown}:{listener.getsockname()[1]}"


def _knock(port: int, outcomes: Counter[str], stop: threading.Event) -> None:
    """Connect, send one byte, expect one back; over and over, until the door is shut."""
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.3) as client:
                outcomes["connected"] += 1
                client.sendall(b"?")
                outcomes["answered" if client.recv(1) else "cut"] += 1
        except ConnectionRefusedError:
            return
        except TimeoutError:
            return  # the SYN was dropped: this client never had a connection
        except OSError:
            outcomes["cut"] += 1


def _answer_one(listener: socket.socket) -> None:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return
    with connection:
        connection.setblocking(True)
        if connection.recv(1):
            connection.sendall(b"!")


def _close_under_load(close: Callable[[socket.socket], None]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    stop = threading.Event()
    listener = open_listener("127.0.0.1", 0, backlog=2048)
    port = listener.getsockname()[1]
    clients = [threading.Thread(target=_knock, args=(port, outcomes, stop)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    until = monotonic() + 5
    while outcomes["answered"] < 10 * CLIENTS and monotonic() < until:
        _answer_one(listener)
    close(listener)
    stop.set()
    for client in clients:
        client.join()
    return outcomes


def _close_as_everyone_does(listener: socket.socket) -> None:
    # Connections that the kernel has finished wait in the queue while clients keep knocking.
    until = monotonic() + 0.05
    while queue_is_empty(listener) and monotonic() < until:
        pass
    listener.close()


def _close_as_we_do(listener: socket.socket) -> None:
    refuse_new_connections(listener)
    until = monotonic() + 0.1
    while monotonic() < until or not queue_is_empty(listener):
        _answer_one(listener)
    listener.close()


@pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")
def test_closing_under_load_cuts_nobody_who_had_connected() -> None:
    outcomes = _close_under_load(_close_as_we_do)

    assert outcomes["answered"] >= 10 * CLIENTS
    assert outcomes["cut"] == 0


def test_control_a_plain_close_cuts_those_in_the_queue() -> None:
    outcomes = _close_under_load(_close_as_everyone_does)

    assert outcomes["cut"] > 0
