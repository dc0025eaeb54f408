"""One hostile connection: what is sent on it, and which answers that deserves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

LIVE = "/health/live"
JSON = "/test/json"


class Ending(Enum):
    """What the client does once all is sent."""

    READS = auto()  # waits for the server to close
    HALF_CLOSES = auto()  # says that nothing more will come, and reads
    RESETS = auto()  # is gone, and leaves its bytes unread


@dataclass(frozen=True)
class Case:
    """`statuses` are the answers expected, in order; none stands for a close without a word.

    An answer may be one of several where a tuple stands in its place. `sent` goes out in these parts, each as soon
    as the one before it has left.
    """

    name: str
    sent: tuple[bytes, ...]
    statuses: tuple[int | tuple[int, ...], ...]
    ending: Ending = Ending.READS
    bodiless: bool = False  # answers to HEAD
    patient: bool = False  # hears something before it sends the next part


def head(
    method: str = "GET", target: str = LIVE, *headers: str, version: str = "HTTP/1.1", host: str | None = "test"
) -> bytes:
    """A well-formed head that asks for the connection to be closed."""
    lines = [f"{method} {target} {version}", *([f"Host: {host}"] if host is not None else []), *headers]
    return "".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode("latin1")


def kept(target: str = LIVE, *headers: str, method: str = "GET") -> bytes:
    """The same on a connection that stays open."""
    return head(method, target, *headers).replace(b"Connection: close\r\n", b"")


def case(name: str, sent: bytes | tuple[bytes, ...], *statuses: int | tuple[int, ...]) -> Case:
    return Case(name, (sent,) if isinstance(sent, bytes) else sent, statuses)
