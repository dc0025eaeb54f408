"""Bodies whose length is a lie, a riddle, or chunked by somebody who never read how."""

from __future__ import annotations

from dataclasses import replace

from tests.hostile.case import JSON, Case, Ending, case, head

NOTE = b'{"text": "hello"}'
CHUNKED = "Transfer-Encoding: chunked"
GOOD = b"11\r\n" + NOTE + b"\r\n0\r\n\r\n"
STORED = 200

# What stands between the address and the body `NOTE`.
FRAMINGS: dict[str, tuple[tuple[str, ...], int]] = {
    "signed": (("Content-Length: +17",), 400),
    "negative": (("Content-Length: -1",), 400),
    "in hexadecimal": (("Content-Length: 0x11",), 400),
    "with an exponent": (("Content-Length: 1e1",), 400),
    "with a fraction": (("Content-Length: 17.0",), 400),
    "with an underscore": (("Content-Length: 1_7",), 400),
    "with a space": (("Content-Length: 1 7",), 400),
    "in Arabic digits": (("Content-Length: \xd9\xa1\xd9\xa7",), 400),
    "a word": (("Content-Length: many",), 400),
    "nothing": (("Content-Length:",), 400),
    "a comma": (("Content-Length: ,",), 400),
    "two of one value": (("Content-Length: 17, 18",), 400),
    "two headers": (("Content-Length: 17", "Content-Length: 18"), 400),
    "two headers, one of none": (("Content-Length: 17", "Content-Length: 0"), 400),
    "two equal headers": (("Content-Length: 17", "Content-Length: 17"), STORED),
    "twice the same in one header": (("Content-Length: 17, 17",), STORED),
    "with zeroes before it": (("Content-Length: 0000017",), STORED),
    "a thousand digits": (("Content-Length: " + "1" * 1000,), 400),
    "21 digits": (("Content-Length: " + "1" * 21,), 400),
    "folded": (("Content-Length:\r\n 17",), STORED),
    "and a chunked body": (("Content-Length: 17", CHUNKED), 400),
    "behind a chunked body": ((CHUNKED, "Content-Length: 17"), 400),
    "none, and a chunked body": (("Content-Length: 0", CHUNKED), 400),
    "and a chunked body in capitals": (("CONTENT-LENGTH: 17", "TRANSFER-ENCODING: CHUNKED"), 400),
    "and identity": (("Content-Length: 17", "Transfer-Encoding: identity"), 501),
    "and a coding behind a space": (("Content-Length: 17", "Transfer-Encoding : chunked"), 400),
    "and a coding behind a vertical tab": (("Content-Length: 17", "Transfer-Encoding:\x0bchunked"), 400),
    "and a coding with an underscore": (("Content-Length: 17", "Transfer_Encoding: chunked"), STORED),
}

CODINGS = (
    "xchunked", "chunkedx", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked;q=1",
    '"chunked"', "chunked,", ",chunked", "", "deflate", "compress", "chun ked", "\xe3hunked", "trailers",
)  # fmt: skip

CHUNKS: dict[str, tuple[bytes, int]] = {
    "good": (GOOD, STORED),
    "with a size in capitals and zeroes": (b"0011\r\n" + NOTE + b"\r\n000\r\n\r\n", STORED),
    "with an extension": (b"11;name=value\r\n" + NOTE + b"\r\n0;x\r\n\r\n", STORED),
    "with a quoted extension": (b'11;a="\\";\xff"\r\n' + NOTE + b"\r\n0\r\n\r\n", STORED),
    "of one byte each": (b"".join(b"1\r\n%c\r\n" % byte for byte in NOTE) + b"0\r\n\r\n", STORED),
    "with a trailer": (GOOD[:-2] + b"X-Sum: 1\r\n\r\n", STORED),
    "with a trailer that lies about the length": (GOOD[:-2] + b"Content-Length: 1\r\n\r\n", STORED),
    "with a size below zero": (b"-1\r\n" + NOTE, 400),
    "with a sign": (b"+11\r\n" + NOTE, 400),
    "with 0x": (b"0x11\r\n" + NOTE, 400),
    "with a size in letters": (b"zz\r\n" + NOTE, 400),
    "without a size": (b"\r\n" + NOTE, 400),
    "with a space before the size": (b" 11\r\n" + NOTE, 400),
    "with an underscore in the size": (b"1_1\r\n" + NOTE, 400),
    "with a NUL in the size": (b"11\x00\r\n" + NOTE, 400),
    "with 21 digits": (b"1" * 21 + b"\r\n" + NOTE, 400),
    "with a line feed in an extension": (b"11;a\nb\r\n" + NOTE, 400),
    "with an endless extension": (b"11;" + b"a" * 100_000, 431),
    "longer than they say": (b"5\r\n" + NOTE + b"\r\n0\r\n\r\n", 400),
    "shorter than they say": (b"13\r\n" + NOTE + b"\r\n0\r\n\r\n", 400),
    "with a line feed behind them": (b"11\r\n" + NOTE + b"\n0\r\n\r\n", 400),
    "with a trailer without a colon": (GOOD[:-2] + b"nonsense\r\n\r\n", 400),
    "with a trailer with a NUL": (GOOD[:-2] + b"X-Sum: \x00\r\n\r\n", 400),
    "with a trailer and a bare line feed": (GOOD[:-2] + b"X-Sum: 1\nX-More: 2\r\n\r\n", 400),
    "with endless trailers": (GOOD[:-2] + b"X-Sum: 1\r\n" * 10_000, 431),
    "that are no chunks": (NOTE + b"\r\n", 400),
    "that end in garbage": (GOOD[:-5] + b"\x00\xff\r\n\r\n", 400),
}


def post(body: bytes, *headers: str, version: str = "HTTP/1.1") -> bytes:
    return head("POST", JSON, "Content-Type: application/json", *headers, version=version) + body


def half_closed(name: str, sent: bytes, *statuses: int | tuple[int, ...]) -> Case:
    return replace(case(name, sent, *statuses), ending=Ending.HALF_CLOSES)


def cases() -> list[Case]:
    length = f"Content-Length: {len(NOTE)}"
    return [
        *(case(f"length: {name}", post(NOTE, *lines), status) for name, (lines, status) in FRAMINGS.items()),
        *(case(f"coding: {coding!r}", post(GOOD, f"Transfer-Encoding: {coding}"), 501) for coding in CODINGS),
        case("coding: chunked, twice", post(GOOD, CHUNKED, CHUNKED), 501),
        case("coding: chunked behind a tab", post(GOOD, "Transfer-Encoding:\tchunked"), STORED),
        case("coding: chunked in HTTP/1.0", post(GOOD, CHUNKED, version="HTTP/1.0"), 400),
        *(case(f"chunks {name}", post(body, CHUNKED), status) for name, (body, status) in CHUNKS.items()),
        half_closed("chunks without an end", post(GOOD[:-5], CHUNKED), 400),
        half_closed("chunks that break off in a size", post(b"1", CHUNKED), 400),
        half_closed("chunks of 2**64 bytes", post(b"FFFFFFFFFFFFFFFF\r\n" + NOTE, CHUNKED), (400, 413)),
        half_closed("a body shorter than its length", post(NOTE[:5], length), 400),
        half_closed("no body at all", post(b"", length), 400),
        half_closed("a length of 2**63", post(NOTE, "Content-Length: 9223372036854775808"), (400, 413)),
        half_closed("a length of 20 digits", post(NOTE, "Content-Length: 99999999999999999999"), (400, 413)),
        case("a body longer than its length", post(NOTE + b"garbage", length), STORED),
        case("a body for GET", head("GET", "/health/live", length) + NOTE, (200, 413)),
        case("a body where nobody reads it", head("POST", "/nowhere", length) + NOTE, 404),
        case(
            "4 MiB where nobody reads them",
            head("POST", "/nowhere", f"Content-Length: {4 << 20}") + bytes(4 << 20),
            (404, 413),
        ),
        case(
            "4 MiB behind a head that is too large",
            post(bytes(4 << 20), f"Content-Length: {4 << 20}", *["X: y"] * 100),
            431,
        ),
        case("4 MiB in chunks behind such a head", post(b"100000\r\n" + bytes(4 << 20), CHUNKED, *["X: y"] * 100), 431),
        case("4 MiB behind an ambiguous head", post(bytes(4 << 20), "Content-Length: 4194304", CHUNKED), 400),
        case("a body that waits for 100 Continue", post(NOTE, length, "Expect: 100-continue"), STORED),
        case(
            "100 Continue behind a head that is refused",
            post(NOTE, length, "Expect: 100-continue", *["X: y"] * 100),
            431,
        ),
    ]
