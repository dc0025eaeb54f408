"""Whether a TCP address can be listened on, and if not, why."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from enum import Enum

from app.core.address import reachable

SOON = 1.0  # seconds; a loopback server that is alive answers within milliseconds


class Bind(Enum):
    """What the system says to a server that wants the address."""

    FREE = "free"
    TAKEN = "taken"
    PRIVILEGED = "privileged"
    NOT_HERE = "not an address of this machine"


_REASONS = {errno.EADDRINUSE: Bind.TAKEN, errno.EACCES: Bind.PRIVILEGED, errno.EADDRNOTAVAIL: Bind.NOT_HERE}


def try_bind(host: str, port: int) -> Bind:
    """Bind as a server does and let go at once; raises `OSError` for what no server meets."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        return Bind.NOT_HERE
    with socket.socket(family, kind) as probe:
        # As servers do: without it, connections of a server that has just ended would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno not in _REASONS:
                raise
            return _REASONS[error.errno]
    return Bind.FREE


def next_free(host: str, port: int) -> int:
    """The next port that could be taken instead; 0 (any) where the neighbourhood is full."""
    above = range(port + 1, min(port + 100, 65536))
    return next((other for other in above if try_bind(host, other) is Bind.FREE), 0)


def is_plinth(host: str, port: int) -> bool:
    """True when a server of ours answers there."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=SOON)
    try:
        connection.request("GET", "/health/live")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read(200)) == {"status": "ok"}
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
