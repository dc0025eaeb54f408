"""How long a server takes to answer /health/live, asked over a plain socket, so that no client's work is measured."""

from __future__ import annotations

import socket
from contextlib import closing
from time import perf_counter

LIVE = b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n"


def latencies(port: int, requests: int) -> list[float]:
    """Of requests one after another on one connection, in seconds; for a thread."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return [_timed(connection) for _ in range(requests)]


def _timed(connection: socket.socket) -> float:
    began = perf_counter()
    connection.sendall(LIVE)
    answer = b""
    while not answer.endswith(b"}"):
        part = connection.recv(65536)
        assert part, "closed by the server"
        answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    return perf_counter() - began
