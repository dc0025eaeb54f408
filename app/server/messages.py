"""What a peer's frames add up to: whole messages within a limit, and few frames that bring nothing along."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

from wsproto.connection import Connection
from wsproto.events import Message

# Frames that bring nothing along (pings, pongs, crumbs of a message) at once, and of which so many a second come back.
IDLE_FRAMES, IDLE_FRAME_RATE = 1000, 100
CRUMB = 128  # bytes; a fragment of fewer counts among them


class TooBig(Exception):
    """The message is larger than allowed."""


class Assembly:
    """One message at a time, counted in bytes while it grows."""

    __slots__ = ("_begun", "_limit", "_size")

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes of a message."""
        self._limit = limit
        self._begun: BytesIO | StringIO | None = None
        self._size = 0

    def add(self, part: Message[Any]) -> Any:  # noqa: ANN401  (str or bytes)
        """The whole message, once it is; else None. Raises `TooBig`."""
        data = part.data
        self._size += len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        if self._size > self._limit:
            raise TooBig
        if not part.message_finished:
            if self._begun is None:
                self._begun = StringIO() if isinstance(data, str) else BytesIO()
            self._begun.write(data)
            return None
        if self._begun is not None:
            self._begun.write(data)
            data = self._begun.getvalue()
        self._begun, self._size = None, 0
        return data

    def check(self, connection: Connection) -> None:
        """Raise `TooBig` for a frame that has only said yet how long it will be."""
        decoder = connection._proto._frame_decoder  # noqa: SLF001  (see the contract tests)
        header = decoder.header
        if header is None or header.opcode.iscontrol():
            return
        if self._size + header.payload_len - decoder.payload_consumed > self._limit:
            raise TooBig


def end_frames(connection: Connection) -> None:
    """No more of them are read: what waits for more leads back to itself, and would stay with all that it has read.

    Closing it is not enough: in Python 3.13.0 a generator that is closed keeps what it has.
    """
    connection._proto._parse_more = iter(())  # type: ignore[assignment]  # noqa: SLF001  (see the contract tests)


class IdleFrames:
    """A bucket that control frames and crumbs of messages fill, and time empties."""

    __slots__ = ("_counted", "_level")

    def __init__(self, now: float) -> None:
        self._level = 0.0
        self._counted = now

    def are_too_many(self, now: float) -> bool:
        """With one more at `now`, in seconds."""
        passed, self._counted = now - self._counted, now
        self._level = max(0.0, self._level - passed * IDLE_FRAME_RATE) + 1
        return self._level > IDLE_FRAMES


def is_crumb(part: Message[Any]) -> bool:
    """Of a part that does not end its message."""
    return part.frame_finished and len(part.data) < CRUMB
