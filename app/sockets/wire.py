"""One peer, as the server below offers it: the port between the sockets and the engine.

Nothing here waits. What a peer does not take stays in the buffer of its connection, which is the one queue there is:
`waiting` says how full it is, and whoever writes keeps it within `websocket.send_buffer`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

from app.core.scope_state import WIRE


class CloseCode(IntEnum):
    """Why a socket ends (RFC 6455, 7.4.1, and the registry of close codes that it opened)."""

    NORMAL = 1000  # the client has left, or a handler came to its end
    GOING_AWAY = 1001  # a browser leaves the page
    PROTOCOL_ERROR = 1002  # frames that are none
    NO_STATUS = 1005  # a close frame without a code; never sent
    ABNORMAL = 1006  # the connection ended without a close frame; never sent
    INVALID_DATA = 1007  # text that is not UTF-8
    POLICY_VIOLATION = 1008  # signed out, expired, or too many messages: do not come back as you are
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011  # an exception that nobody expected
    SERVICE_RESTART = 1012  # the process stops: come back when the reason says
    TRY_AGAIN_LATER = 1013  # too slow for what is sent, or the server has no room: come back


class Wire(Protocol):
    """The connection of one accepted WebSocket."""

    received: int  # whole messages
    sent: int  # messages
    close_code: int | None  # the first one that either side gave; 1006 where the connection just ended

    @property
    def heard(self) -> float:
        """Loop time of the last bytes from the peer; now, while a handler that takes nothing keeps us from reading."""

    @property
    def waiting(self) -> int:
        """Bytes that were written and that the kernel has not taken yet."""

    @property
    def taken(self) -> int:
        """Bytes that the kernel has taken, ever. Where it stands still while some wait, the peer reads nothing."""

    @property
    def is_open(self) -> bool:
        """False once either side has closed, or the connection is lost."""

    def write(self, frame: bytes) -> None:
        """Put a whole frame, from `app.sockets.frames.encode`, behind what waits; none where it is closed."""

    def ping(self) -> None:
        """Ask the peer for a sign of life."""

    def close(self, code: int, reason: str = "") -> None:
        """Say why (at most 123 bytes) behind what waits; a peer that does not answer in time is dropped.

        The handler's next `receive()` ends it, without waiting for the answer.
        """

    def abort(self, code: int = CloseCode.ABNORMAL) -> None:
        """Drop the connection now; `code` is what the log says of it."""

    def on_gone(self, call: Callable[[], object]) -> None:
        """Have `call` called once when the peer is gone; it must return at once.

        Gone is a peer whose close frame has come, whose bytes made no sense, or whose connection is lost. One that is
        gone already is told of now.
        """


def wire_of(scope: Any) -> Wire | None:  # noqa: ANN401  (a dict, but typed differently by each library)
    """The wire of a WebSocket's scope; None under a server that offers none, such as Quart's test client."""
    wire: Wire | None = (scope.get("state") or {}).get(WIRE)
    return wire
