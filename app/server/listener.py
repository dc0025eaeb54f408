"""Our own listening socket: bound before anything slow, and closed without cutting anyone off."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import sys
from ctypes import addressof, create_string_buffer

# A peer that acknowledges nothing for this long is gone (stack-notes H10); milliseconds, see tcp(7).
USER_TIMEOUT_MS = 15_000

_LINUX = sys.platform == "linux"


class PortTaken(Exception):
    """The address is in use by another program."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"{host}:{port} is in use by another program; `app doctor` says which, --port {port + 1} takes another"
        )


def open_listener(host: str, port: int, *, backlog: int) -> socket.socket:
    """Bind and listen; port 0 takes any free one.

    Accepted sockets inherit what is set here. Raises `PortTaken`, or `OSError` with the address named.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _LINUX:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    try:
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port) from error
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def base_url(listener: socket.socket) -> str:
    """The address as a person would type it."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def refuse_new_connections(listener: socket.socket) -> None:
    """Let the kernel drop every new SYN while connections already made can still be accepted.

    Closing a listening socket resets the connections that wait in its queue: under load some clients
    would lose a request they had already sent. With this filter the queue empties first; a client that
    comes later repeats its SYN and is refused once the socket is closed. Linux only (socket(7),
    SO_ATTACH_FILTER), and on some kernels for privileged processes only; `latecomers` answers whoever
    gets in without it.
    """
    if not _LINUX:
        return
    # BPF over the TCP header: load byte 13 (flags); drop when SYN is set without ACK, else keep all.
    program = (
        (0x30, 0, 0, 13),  # ldb [13]
        (0x54, 0, 0, 0x12),  # and #(SYN|ACK)
        (0x15, 0, 1, 0x02),  # jeq #SYN, next, skip one
        (0x06, 0, 0, 0),  # ret #0: drop
        (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: keep
    )
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = create_string_buffer(code)
    so_attach_filter = 26  # asm-generic/socket.h; the socket module has no name for it
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, so_attach_filter, struct.pack("HL", len(program), addressof(buffer)))


def queue_is_empty(listener: socket.socket) -> bool:
    """True when no finished connection waits to be accepted."""
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    return not poller.poll(0)
