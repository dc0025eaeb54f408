"""Heads that are refused on every engine, although its parser takes them: what another server may read differently."""

from __future__ import annotations

from collections.abc import Iterable

from app.web.heads import MOST_BYTES, MOST_TARGET

# A head within the limits of `app.web.heads` is read however it arrives, and no more than this of one that is still
# not whole. The rest is for the method, the version and the ends of lines.
MOST_INCOMPLETE = MOST_TARGET + MOST_BYTES + 1024

FRAMINGS = {b"content-length", b"transfer-encoding"}
# Lists that are decoded as ASCII; other bytes would end the connection's task with an exception.
LISTS = {b"connection", b"sec-websocket-extensions", b"sec-websocket-protocol"}
WATCHED = FRAMINGS | LISTS | {b"upgrade"}


def problem(method: bytes, version: bytes, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What is wrong with a head that can be parsed, as a sentence for the client; names are in small letters."""
    framings = set()
    for name, value in headers:
        if name in WATCHED:
            if sentence := _problem_of(name, value):
                return sentence
            framings.add(name)
    if version not in {b"1.1", b"1.0"}:
        return "Only HTTP/1.1 is spoken here."
    if framings >= FRAMINGS or (version == b"1.0" and b"transfer-encoding" in framings):
        # Whoever reads the other one sees another request behind this one (RFC 9112, 6.1).
        return "Where the body ends is ambiguous."
    if method != method.upper():
        # Hypercorn would take `head` for HEAD, while h11 does not.
        return "Methods are written in capitals."
    return None


def _problem_of(name: bytes, value: bytes) -> str | None:
    if name in LISTS and not value.isascii():
        return f"The header {name.decode()} holds bytes that are not ASCII."
    # Ignoring it is allowed, too. But a proxy that passes this on expects a tunnel, and lets what follows through
    # unread; it shall hear at once that there is none. PRI is the same without asking: its version is 2.0.
    if name == b"upgrade" and any(token.strip().lower() == b"h2c" for token in value.split(b",")):
        return "HTTP/2 is not spoken without TLS; please use HTTP/1.1."
    return None
