"""The handshake of a WebSocket (RFC 6455, section 4): whether it is one, and the answer that accepts it."""

from __future__ import annotations

from collections.abc import Iterable

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.utilities import generate_accept_token

VERSION = b"13"

Headers = list[tuple[bytes, bytes]]


class NotOffered(Exception):
    """The application accepts a subprotocol that the client has not offered."""


class NotOurs(Exception):
    """The application sends a header that the handshake itself decides on."""


class Handshake:
    """Of one request for `Upgrade: websocket`.

    It agrees on no extensions: permessage-deflate inflates without a limit.
    """

    __slots__ = ("_is_valid", "_key", "accepted", "subprotocols")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], http_version: str) -> None:
        """Of a header that comes twice, the last one counts."""
        asked = {name.lower(): value for name, value in headers}
        self.accepted = False
        self.subprotocols = _list(asked.get(b"sec-websocket-protocol"))
        self._key = asked.get(b"sec-websocket-key")
        self._is_valid = (
            http_version >= "1.1"
            and self._key is not None
            and asked.get(b"sec-websocket-version") == VERSION
            and asked.get(b"upgrade", b"").lower() == b"websocket"
            and "upgrade" in (token.lower() for token in _list(asked.get(b"connection")))
            # Behind the head stand frames; a proxy would take the first of them for the body.
            and asked.get(b"content-length", b"0") == b"0"
            and b"transfer-encoding" not in asked
        )

    def is_valid(self) -> bool:
        return self._is_valid

    def accept(self, subprotocol: str | None, more: Iterable[tuple[bytes, bytes]]) -> tuple[int, Headers, Frames]:
        """Status and headers of the answer, and what reads the frames behind it.

        `more` are headers of the application's. Raises `NotOffered` and `NotOurs`.
        """
        headers = [
            (b"sec-websocket-accept", generate_accept_token(self._key or b"")),
            (b"upgrade", b"WebSocket"),
            (b"connection", b"Upgrade"),
        ]
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                raise NotOffered(subprotocol)
            headers.append((b"sec-websocket-protocol", subprotocol.encode()))
        for name, value in more:
            if name == b"sec-websocket-protocol" or name.startswith(b":"):
                raise NotOurs(name.decode())
            headers.append((name, value))
        self.accepted = True
        return 101, headers, Frames(ConnectionType.SERVER)


def _list(value: bytes | None) -> list[str]:
    return [] if value is None else [piece.decode("latin1").strip() for piece in value.split(b",")]
