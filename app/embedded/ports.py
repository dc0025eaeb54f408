"""TCP ports on the loopback interface."""

from __future__ import annotations

import socket

from app.embedded.errors import PortTaken

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port the system had free a moment ago; another program may take it before the server does."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def check_free(port: int) -> None:
    """Raise PortTaken where another program listens on `port`; it may still be taken before we have it."""
    with socket.socket() as probe:
        # As servers do: without it, connections of a server that has just ended would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise PortTaken(port) from None
