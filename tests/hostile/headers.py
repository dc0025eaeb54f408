"""Headers that are malformed, too many, too large, or say what only a server may say."""

from __future__ import annotations

from tests.hostile.case import LIVE, Case, case, head

NO_TOKEN = '"(),/;<=>?@[\\]{} \t\x00\x01\x0b\x1b\x1f\x7f\xe9\xff'
NO_VALUE = "\x00\x0b\x0c\r"
VALUE = "\x01\x07\x08\x1b\x7f\x80\xff"

LINES: dict[str, tuple[str, int]] = {
    "no colon": ("X-Odd", 400),
    "no name": (": value", 400),
    "a colon alone": (":", 400),
    "a space before the colon": ("X-Odd : value", 400),
    "a tab before the colon": ("X-Odd\t: value", 400),
    "a value of colons": ("X-Odd:::", 200),
    "a value of spaces": ("X-Odd:      ", 200),
    "a folded value": ("X-Odd: one\r\n two", 200),
    "a value folded by a tab": ("X-Odd: one\r\n\ttwo", 200),
    "a fold of nothing": ("X-Odd: one\r\n ", 200),
    "a bare line feed between lines": ("X-Odd: one\nX-Other: two", 400),
    "a bare line feed that ends the head": ("X-Odd: one\n\n", 400),
    "a line feed, then an end in full": ("X-Odd: one\n\r\n", 400),
    "a bare carriage return between lines": ("X-Odd: one\rX-Other: two", 400),
    "a name of 8 KiB": ("X" * 8192 + ": value", 200),
    "Host, twice": ("Host: test", 400),
    "Host, twice and different": ("Host: other", 400),
    "a second Host in capitals": ("HOST: other", 400),
    "Connection with garbage": ("Connection: \x01,,;close", 200),
    "Expect that nobody knows": ("Expect: miracles", 200),
    "Range that is none": ("Range: bytes=9-1,-,x", 200),
    "Cookie that is none": ("Cookie: ====;;; a=\x01; \xff", 200),
    "Accept of commas": ("Accept: " + "," * 4000, 200),
    "Accept-Encoding of garbage": ("Accept-Encoding: \xff;q=x", 200),
    "Authorization without a scheme": ("Authorization: \xff\xfe", 200),
    "If-Modified-Since of no date": ("If-Modified-Since: yesterday", 200),
    "Remote-Addr of the client's own": ("Remote-Addr: 6.6.6.6", 200),
    "X-Forwarded-For of garbage": ("X-Forwarded-For: \xff, , ::::, 6.6.6.6", 200),
    "X-Forwarded-Proto of garbage": ("X-Forwarded-Proto: javascript", 200),
    "X-Request-Id of garbage": ("X-Request-Id: \x1b[31m\xff", 200),
    "X-Request-Id, endless": ("X-Request-Id: " + "a" * 8000, 200),
    "traceparent of garbage": ("traceparent: 00-\xff-zz-01", 200),
    "Idempotency-Key of garbage": ("Idempotency-Key: \xff\x01", 200),
}

HOSTS: dict[str, tuple[str, int]] = {
    "a path": ("test/../../etc", 400),
    "a name and a password": ("root:secret@test", 400),
    "two names": ("test, other", 400),
    "a space": ("te st", 400),
    "a high byte": ("t\xe9st", 400),
    "a question mark": ("test?x", 400),
    "a hash": ("test#x", 400),
    "a backslash": ("test\\x", 400),
    "quotes": ('"test"', 400),
    "nothing": ("", 200),
    "an IPv6 address": ("[::1]:8000", 200),
    "half an IPv6 address": ("[::1", 400),
    "a port of letters": ("test:http", 400),
    "a port too high": ("test:99999999", 400),
    "a dot at the end": ("test.example.", 200),
    "a label of 63 bytes": ("a" * 63, 200),
    "a label of 64 bytes": ("a" * 64, 400),
    "two dots in a row": ("a..b", 400),
    "an address with an escape": ("t%65st", 400),
    "dots": ("....", 400),
    "a kilobyte": ("a" * 1024, 400),
}


def _many(count: int) -> list[str]:
    """With Host and Connection, which every head here has, `count` headers."""
    return [f"X-{number}: v" for number in range(count - 2)]


def _large(size: int, pieces: int = 1) -> list[str]:
    """Headers of `size` bytes, as they are counted: with a colon, a space and the end of the line each."""
    rest = size - len("Host: test\r\nConnection: close\r\n")
    lines = [rest // pieces] * (pieces - 1) + [rest - rest // pieces * (pieces - 1)]
    return [f"X-{number:02d}: ".ljust(length - 2, "v") for number, length in enumerate(lines)]


def in_pieces(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def cases() -> list[Case]:
    return [
        *(case(f"header name with {char!r}", head("GET", LIVE, f"X{char}Odd: v"), 400) for char in NO_TOKEN),
        *(case(f"header value with {char!r}", head("GET", LIVE, f"X-Odd: a{char}b"), 400) for char in NO_VALUE),
        *(case(f"header value with {char!r}", head("GET", LIVE, f"X-Odd: a{char}b"), 200) for char in VALUE),
        *(case(f"header: {name}", head("GET", LIVE, line), status) for name, (line, status) in LINES.items()),
        *(case(f"Host: {name}", head(host=host), status) for name, (host, status) in HOSTS.items()),
        case("Host missing", head(host=None), 400),
        case("Host missing in HTTP/1.0", head(version="HTTP/1.0", host=None), 200),
        case("fold before the first header", head().replace(b"Host", b" Host", 1), 400),
        case("100 headers", head("GET", LIVE, *_many(100)), 200),
        case("101 headers", head("GET", LIVE, *_many(101)), 431),
        case("5000 headers", head("GET", LIVE, *_many(5000)), 431),
        case("5000 headers without names", head("GET", LIVE, *[":"] * 5000), 400),
        case("16 KiB of headers", head("GET", LIVE, *_large(16384)), 200),
        case("16 KiB of headers in pieces", in_pieces(head("GET", LIVE, *_large(16384)), 1000), 200),
        case("16 KiB and one byte of headers", head("GET", LIVE, *_large(16385)), 431),
        case("16 KiB and one byte in many headers", head("GET", LIVE, *_large(16385, 50)), 431),
        case("60 KiB of headers", head("GET", LIVE, *_large(60_000, 9)), 431),
        case("60 KiB of headers in pieces", in_pieces(head("GET", LIVE, *_large(60_000, 9)), 4000), 431),
        case("300 KiB of headers", head("GET", LIVE, *_large(300_000, 90)), 431),
        case("2 MiB in one header", head("GET", LIVE, *_large(2 << 20)), 431),
        case("2 MiB in one name", head("GET", LIVE, "X" * (2 << 20) + ": v"), 431),
        case("2 MiB of folds", head("GET", LIVE, "X-Odd: v" + "\r\n v" * (1 << 19)), 431),
    ]
