"""Our own listening socket, bound before anything slow."""

from __future__ import annotations

import errno
import os
import socket
import sys

from app.core.address import http_url

# A peer that acknowledges nothing for this long is gone: without it, what it does not read is kept for ever.
# Milliseconds, see tcp(7).
USER_TIMEOUT_MS = 15_000


class PortTaken(Exception):
    """The address is in use by another program."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"{host}:{port} is in use by another program; `app doctor` says which, --port 0 takes any free one"
        )


class CannotListen(OSError):
    """The address is none of this machine, or not for this user."""


def open_listener(host: str, port: int, *, backlog: int, setting: str = "server.port") -> socket.socket:
    """Bind and listen; port 0 takes any free one. Raises `PortTaken` or `CannotListen`, which names `setting`."""
    try:
        return _listen(host, port, backlog)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port) from error
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror}; look at server.host and {setting}"
        ) from error


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """Accepted sockets inherit what is set here."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        listener.bind(address)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def base_url(listener: socket.socket) -> str:
    """The address as a person would type it."""
    host, port = listener.getsockname()[:2]
    return http_url(host, port)


def is_shared(listener: socket.socket, fd: int) -> bool:
    """True while `fd` is still open and the same socket as `listener`."""
    try:
        return os.path.sameopenfile(listener.fileno(), fd)
    except OSError:
        return False
