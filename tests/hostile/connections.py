"""Connections that break off, send too much at once, or next to nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.hostile.case import JSON, LIVE, Case, Ending, case, head, kept
from tests.hostile.lengths import NOTE, half_closed

GOOD, LAST, BAD = kept(), head(), b"GET HTTP/1.1\r\n\r\n"
WHOLE = kept(JSON, "Content-Type: application/json", f"Content-Length: {len(NOTE)}", method="POST") + NOTE
CHUNKS = kept(JSON, "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST")
SMUGGLED = kept("/test/inside")

# Several requests on one connection, and an answer to each that deserves one.
PIPELINES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "good and good": (GOOD + LAST, (200, 200)),
    "good and bad": (GOOD + BAD, (200, 400)),
    "bad and good": (BAD + LAST, (400,)),
    "good, bad and good": (GOOD + BAD + LAST, (200, 400)),
    "fifty": (GOOD * 49 + LAST, (200,) * 50),
    "a body between": (GOOD + WHOLE + LAST, (200, 200, 200)),
    "a body in chunks between": (GOOD + CHUNKS + b"11\r\n" + NOTE + b"\r\n0\r\n\r\n" + LAST, (200, 200, 200)),
    "a body nobody reads between": (kept("/nowhere", "Content-Length: 5", method="POST") + b"hello" + LAST, (404, 200)),
    "an unknown address between": (GOOD + kept("/nowhere") + LAST, (200, 404, 200)),
    "behind the last one": (LAST + SMUGGLED, (200,)),
    "behind a body that is too long": (WHOLE + b"more" + LAST, (200, 400)),
    "behind a length and chunks": (
        kept(JSON, "Content-Length: 6", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n" + SMUGGLED,
        (400,),
    ),
    "behind chunks of HTTP/1.0": (CHUNKS.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n" + SMUGGLED, (400,)),
    "behind a bare line feed": (b"GET /health/live HTTP/1.1\nHost: test\n\n" + SMUGGLED, (400,)),
    "behind an empty line": (GOOD + b"\r\n" + LAST, (200, 400)),
    "behind CONNECT": (kept("test:443", method="CONNECT") + SMUGGLED + LAST, (400, 200, 200)),
    "behind an upgrade": (kept(LIVE, "Upgrade: foo/2", "Connection: Upgrade") + LAST, (200, 200)),
    "behind HTTP/1.0": (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0") + SMUGGLED, (200,)),
    "behind a whole URL": (kept("http://test/health/live") + LAST, (200, 200)),
    "behind a head that is too large": (kept(LIVE, *["X: y"] * 101) + LAST, (431, 200)),
    "behind an address that is too long": (kept("/" * 9000) + LAST, (414, 200)),
}

# Heads that break off: half of a client, or half of an attack.
HALVES: dict[str, bytes] = {
    "one byte": b"G",
    "a method": b"GET ",
    "a line without an end": b"GET /health/live HTTP/1.1",
    "a line and half an end": b"GET /health/live HTTP/1.1\r",
    "a line": b"GET /health/live HTTP/1.1\r\n",
    "half a header": b"GET /health/live HTTP/1.1\r\nHo",
    "a header": b"GET /health/live HTTP/1.1\r\nHost: test\r\n",
    "all but the last byte": LAST[:-1],
}


def dribbled(sent: bytes) -> tuple[bytes, ...]:
    return tuple(sent[index : index + 1] for index in range(len(sent)))


def cases() -> list[Case]:
    gone = [*HALVES.values(), LAST, GOOD * 20, CHUNKS + b"11\r\nhalf", WHOLE[:-4], head(target="/test/flood")]
    return [
        *(case(f"pipeline: {name}", sent, *statuses) for name, (sent, statuses) in PIPELINES.items()),
        *(half_closed(f"half-closed after {name}", sent, 400) for name, sent in HALVES.items()),
        *(case(f"silent after {name}", sent) for name, sent in HALVES.items()),
        *(replace(case(f"reset {number}", sent), ending=Ending.RESETS) for number, sent in enumerate(gone)),
        half_closed("half-closed at once", b""),
        half_closed("half-closed after a request", LAST, 200),
        half_closed("half-closed after a request that stays open", GOOD, 200),
        case("silent from the start", b""),
        case("silent after a request", GOOD, 200),
        case("silent after a request and half a head", GOOD + b"GET / HT", 200),
        case("a request byte by byte", dribbled(LAST), 200),
        case("a bad request byte by byte", dribbled(b"GET /health/live HTTP/1.1\r\nHost: te\x00st\r\n\r\n"), 400),
        case("a body byte by byte", (*dribbled(WHOLE), LAST), 200, 200),
        case("a body that never comes", WHOLE[: -len(NOTE)], 408),
        case("a body that stops half way", WHOLE[:-4], 408),
        case("chunks that never come", CHUNKS, 408),
        case("chunks that stop half way", CHUNKS + b"11\r\n{", 408),
        replace(case("HEAD", head("HEAD"), 200), bodiless=True),
        replace(case("HEAD of nothing", head("HEAD", "/nowhere"), 404), bodiless=True),
        replace(case("HEAD with two versions", head("HEAD", version="HTTP/2.0"), 400), bodiless=True),
        replace(case("HEAD of a head that is too large", head("HEAD", LIVE, *["X: y"] * 101), 431), bodiless=True),
        replace(case("HEAD of no path", head("HEAD", "?a=b"), 400), bodiless=True),
        replace(
            case("HEAD with half a body", head("HEAD", LIVE, "Transfer-Encoding: chunked") + b"zz\r\n", (200, 400)),
            bodiless=True,
        ),
    ]
