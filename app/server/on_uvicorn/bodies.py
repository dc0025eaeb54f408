"""Where the body of a request ends: llhttp, which cannot be stopped, is fed up to there and not a byte further.

What stands behind it is another request, and none of llhttp's business until this one has its answer.
"""

from __future__ import annotations

from app.core.errors import HeadersTooLarge
from app.server.heads import MOST_INCOMPLETE
from app.server.on_uvicorn.request_line import END

PIECE = 8 * 1024  # bytes of chunks at a time, so that lines without an end are noticed


class Measured:
    """A body of a known length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    def next_end(self, data: bytes, start: int) -> int:
        """Where the piece of `data` ends that begins at `start`."""
        end = min(len(data), start + self._left)
        self._left -= end - start
        return end

    def arrived(self) -> None:
        """Some of the body itself has."""


class Chunked:
    """A body in chunks: it ends with an empty line, and so may a piece that does not end it."""

    __slots__ = ("_between", "_last")

    def __init__(self) -> None:
        self._last = b""  # of what was fed
        self._between = 0  # bytes of sizes, extensions and trailers since the last byte of the body

    def next_end(self, data: bytes, start: int) -> int:
        """As above. Raises `HeadersTooLarge` for a line, or trailers, without an end."""
        if self._between > MOST_INCOMPLETE:
            raise HeadersTooLarge
        piece = self._last + data[start : start + PIECE]
        found = piece.find(END)
        size = (len(piece) if found < 0 else found + len(END)) - len(self._last)
        self._last = b"" if found >= 0 else piece[1 - len(END) :]
        self._between += size
        return start + size

    def arrived(self) -> None:
        self._between = 0
