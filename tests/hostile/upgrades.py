"""Upgrades to HTTP/2 without TLS, and handshakes for WebSockets that are none."""

from __future__ import annotations

from dataclasses import replace

from tests.hostile.case import LIVE, Case, Ending, case, head, kept

SETTINGS = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
ECHO = "/test/echo"

H2C: dict[str, tuple[str, ...]] = {
    "as browsers of old asked": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", SETTINGS),
    "without settings": ("Connection: Upgrade", "Upgrade: h2c"),
    "without naming it in Connection": ("Upgrade: h2c", SETTINGS),
    "in capitals": ("Connection: UPGRADE", "UPGRADE: H2C", SETTINGS),
    "in a list": ("Connection: Upgrade", "Upgrade: foo/1, h2c", SETTINGS),
    "in a second header": ("Connection: Upgrade", "Upgrade: foo/1", "Upgrade: h2c", SETTINGS),
    "behind a WebSocket": ("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
    "with garbage for settings": ("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: \xff"),
    "with a body": ("Connection: Upgrade", "Upgrade: h2c", SETTINGS, "Content-Length: 0"),
}

IGNORED: dict[str, tuple[str, ...]] = {
    "to TLS": ("Connection: Upgrade", "Upgrade: TLS/1.2"),
    "to nothing": ("Connection: Upgrade", "Upgrade:"),
    "to h2, which needs TLS": ("Connection: Upgrade", "Upgrade: h2", SETTINGS),
    "to something unknown": ("Connection: Upgrade", "Upgrade: foo/2, bar"),
    "to a WebSocket that is not named in Connection": ("Upgrade: websocket",),
}

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")

HANDSHAKES: dict[str, tuple[tuple[str, ...], int]] = {
    "without a key": ((VERSION,), 400),
    "without a version": ((KEY,), 400),
    "of version 8": ((KEY, "Sec-WebSocket-Version: 8"), 400),
    "of version 14": ((KEY, "Sec-WebSocket-Version: 14"), 400),
    "of no version": ((KEY, "Sec-WebSocket-Version: \xff"), 400),
    "of nothing else": ((), 400),
    "with Remote-Addr": ((KEY, VERSION, "Remote-Addr: 6.6.6.6"), 101),
    "with extensions of high bytes": ((KEY, VERSION, "Sec-WebSocket-Extensions: \xff"), 400),
    "with extensions of garbage": ((KEY, VERSION, "Sec-WebSocket-Extensions: ;;=,,x;"), 101),
    "with half an extension": ((KEY, VERSION, f"{DEFLATE}; client_max_window_bits=x"), 101),
    "with an extension beyond its limits": ((KEY, VERSION, f"{DEFLATE}; server_max_window_bits=99"), 101),
    "with an extension asked for twice": ((KEY, VERSION, DEFLATE, DEFLATE), 101),
    "with protocols of high bytes": ((KEY, VERSION, "Sec-WebSocket-Protocol: \xff"), 400),
    "with Connection of high bytes": ((KEY, VERSION, "Connection: Upgrade, \xff"), 400),
    "with protocols of garbage": ((KEY, VERSION, "Sec-WebSocket-Protocol: ,,x y"), 101),
    "with a hundred headers more": ((KEY, VERSION, *["X: y"] * 100), 431),
    "with a header of 17 KiB": ((KEY, VERSION, "X: " + "y" * 17_000), 431),
    "with a body to come": ((KEY, VERSION, "Content-Length: 5"), 400),
    "with a body in chunks to come": ((KEY, VERSION, "Transfer-Encoding: chunked"), 400),
    "with a body of nothing": ((KEY, VERSION, "Content-Length: 0"), 101),
    "with a length and chunks": ((KEY, VERSION, "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
}


def handshake(*lines: str, target: str = ECHO, method: str = "GET") -> bytes:
    return kept(target, *UPGRADE, *lines, method=method)


def frame(first: int, payload: bytes, *, length: bytes | None = None, masked: bool = True) -> bytes:
    """`first` holds FIN, the reserved bits and the opcode."""
    size = length if length is not None else bytes([len(payload)])
    mask = b"\0\0\0\0" if masked else b""
    return bytes([first, size[0] | (0x80 if masked else 0)]) + size[1:] + mask + payload


GOODBYE = frame(0x88, b"\x03\xe8")

FRAMES: dict[str, bytes] = {
    "without a mask": frame(0x81, b"hello", masked=False),
    "with a reserved bit": frame(0xC1, b"hello"),
    "with all reserved bits": frame(0xF1, b"hello"),
    "with an unknown opcode": frame(0x83, b"hello"),
    "with an unknown control opcode": frame(0x8B, b"hello"),
    "that goes on with nothing": frame(0x80, b"hello"),
    "that is half a ping": frame(0x09, b"hello"),
    "that is a ping of 126 bytes": frame(0x89, bytes(126), length=b"\x7e\x00\x7e"),
    "that is no UTF-8": frame(0x81, b"\xff\xfe"),
    "that is longer than any": frame(0x82, b"", length=b"\x7f" + b"\xff" * 8),
    "that closes with half a code": frame(0x88, b"\x03"),
    "that closes with a code that is none": frame(0x88, b"\x03\xed"),
    "that closes with a reason that is no UTF-8": frame(0x88, b"\x03\xe8\xff"),
}


def cases() -> list[Case]:
    good = handshake(KEY, VERSION)
    return [
        *(case(f"h2c {name}", kept(LIVE, *lines), 400) for name, lines in H2C.items()),
        case("h2c with prior knowledge", PREFACE, 400),
        case("h2c with prior knowledge, in pieces", (PREFACE[:10], PREFACE[10:20], PREFACE[20:]), 400),
        case("h2c with prior knowledge and a Host", PREFACE.replace(b"2.0\r\n", b"2.0\r\nHost: test\r\n"), 400),
        case("h2c on the way to a WebSocket", kept(ECHO, *H2C["behind a WebSocket"], KEY, VERSION), 400),
        *(case(f"upgrade {name}", head("GET", LIVE, *lines), 200) for name, lines in IGNORED.items()),
        *(_played(f"WebSocket {name}", handshake(*lines), status) for name, (lines, status) in HANDSHAKES.items()),
        case("WebSocket in HTTP/1.0", good.replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
        case(
            "WebSocket by POST",
            handshake(KEY, VERSION, "Content-Length: 0", method="POST").replace(
                b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
            ),
            405,
        ),
        case("WebSocket where there is none", handshake(KEY, VERSION, target=LIVE), (400, 404)),
        case("WebSocket at an unknown address", handshake(KEY, VERSION, target="/nowhere"), 404),
        case("WebSocket with no path", handshake(KEY, VERSION, target="?a=b"), 400),
        case("WebSocket with a control character", handshake(KEY, VERSION, target="/%00"), 400),
        case("WebSocket with an address of 9 KiB", handshake(KEY, VERSION, target="/".ljust(9000, "a")), 414),
        case("WebSocket with a frame in the same piece", good + frame(0x81, b"early"), 400),
        case("WebSocket with garbage in the same piece", good + b"\x00\xff" * 1000, 400),
        case("WebSocket with a request in the same piece", good + head(), 400),
        case("WebSocket refused, with a frame in the same piece", handshake(VERSION) + frame(0x81, b"early"), 400),
        case("WebSocket's address without a handshake", head(target=ECHO), (400, 404)),
        *(_played(f"WebSocket with a frame {name}", good, 101, then=sent) for name, sent in FRAMES.items()),
    ]


def _played(name: str, sent: bytes, status: int, *, then: bytes = GOODBYE) -> Case:
    """An accepted handshake, and what comes `then`: a WebSocket stays open for as long as the client does."""
    if status != 101:
        return case(name, sent, status)
    return replace(case(name, (sent, then), status), ending=Ending.HALF_CLOSES, patient=True)
