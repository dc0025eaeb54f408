"""Ports that stay a test's own between the choice and the bind, and between a server's end and its next start.

A port that is chosen, let go and bound later may be given to another program in between.
"""

from __future__ import annotations

import atexit
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from app.embedded.ports import LOOPBACK


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that the system gives to nobody else, and that a server may have who asks for it by its number.

    It is bound, but not listening: who calls is refused, as where nobody is. Of two sockets that both set
    SO_REUSEADDR, as servers do, one may bind what the other has bound, and only one may listen.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((LOOPBACK, 0))
        yield held.getsockname()[1]


@cache
def kept_ports(count: int) -> tuple[int, ...]:
    """The same for each caller, and reserved until this process ends: for what is declared outside of any test."""
    kept = ExitStack()
    atexit.register(kept.close)
    return tuple(kept.enter_context(reserved_port()) for _ in range(count))
