"""First lines that are no HTTP/1.1, and bytes of other protocols."""

from __future__ import annotations

from tests.hostile.case import LIVE, Case, case, head

REST = b"\r\nHost: test\r\nConnection: close\r\n\r\n"

LINES: dict[str, bytes] = {
    "no version": b"GET /health/live",
    "no address": b"GET HTTP/1.1",
    "an empty address": b"GET  HTTP/1.1",
    "a method alone": b"GET",
    "an empty line first": b"\r\nGET /health/live HTTP/1.1",
    "a bare line feed first": b"\nGET /health/live HTTP/1.1",
    "a space first": b" GET /health/live HTTP/1.1",
    "a tab first": b"\tGET /health/live HTTP/1.1",
    "a space at the end": b"GET /health/live HTTP/1.1 ",
    "two spaces before the address": b"GET  /health/live HTTP/1.1",
    "two spaces before the version": b"GET /health/live  HTTP/1.1",
    "tabs for spaces": b"GET\t/health/live\tHTTP/1.1",
    "a vertical tab for a space": b"GET\x0b/health/live HTTP/1.1",
    "a space in the address": b"GET /health live HTTP/1.1",
    "a tab in the address": b"GET /health\tlive HTTP/1.1",
    "a NUL in the address": b"GET /health/live\x00 HTTP/1.1",
    "a DEL in the address": b"GET /health/live\x7f HTTP/1.1",
    "a line feed in the address": b"GET /health\n/live HTTP/1.1",
    "a carriage return in the address": b"GET /health\r/live HTTP/1.1",
    "raw UTF-8 in the address": "GET /größe HTTP/1.1".encode(),
    "raw Latin-1 in the address": b"GET /gr\xf6\xdfe HTTP/1.1",
    "a NUL in the method": b"GE\x00T /health/live HTTP/1.1",
    "an escape in the method": b"GE\x1bT /health/live HTTP/1.1",
    "a parenthesis in the method": b"GE(T /health/live HTTP/1.1",
    "a colon in the method": b"GET: /health/live HTTP/1.1",
    "a quote in the method": b'"GET" /health/live HTTP/1.1',
    "an umlaut in the method": b"G\xcbT /health/live HTTP/1.1",
    "no method": b" /health/live HTTP/1.1",
    "a version in lower case": b"GET /health/live http/1.1",
    "a version without a protocol": b"GET /health/live 1.1",
    "a version without a dot": b"GET /health/live HTTP/1",
    "a version of three digits": b"GET /health/live HTTP/1.10",
    "a version with a comma": b"GET /health/live HTTP/1,1",
    "a version with a letter": b"GET /health/live HTTP/1.x",
    "a negative version": b"GET /health/live HTTP/-1.1",
    "another protocol's version": b"GET /health/live HTCPCP/1.1",
    "version 0.9": b"GET /health/live HTTP/0.9",
    "version 1.2": b"GET /health/live HTTP/1.2",
    "version 2.0": b"GET /health/live HTTP/2.0",
    "version 3.0": b"GET /health/live HTTP/3.0",
    "version 9.9": b"GET /health/live HTTP/9.9",
    "an answer for a request": b"HTTP/1.1 200 OK",
    "a method in lower case": b"get /health/live HTTP/1.1",
    "a method in mixed case": b"Get /health/live HTTP/1.1",
    "HEAD in lower case": b"head /health/live HTTP/1.1",
    "CONNECT in lower case": b"connect test:443 HTTP/1.1",
    "POST in lower case": b"post /test/json HTTP/1.1",
}

# What scanners and lost clients of other protocols say first.
FOREIGN: dict[str, bytes] = {
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(range(160)),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "SMTP": b"EHLO example.org\r\n\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    "PostgreSQL": bytes.fromhex("0000000804d2162f"),
    "the PROXY protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
    "the PROXY protocol in binary": b"\r\n\r\n\x00\r\nQUIT\n" + bytes(12),
    "zeroes": bytes(64),
    "high bytes": b"\xff" * 64 + b"\r\n\r\n",
    "SOCKS": b"\x05\x01\x00",
    "two empty lines": b"\r\n\r\n",
    "JSON": b'{"method": "GET"}\r\n\r\n',
}

ODD_METHODS = ("PROPFIND", "PATCH", "BREW", "M-SEARCH", "TRACE", "QUERY", "PUT", "DELETE", "X" * 4000)


def cases() -> list[Case]:
    return [
        *(case(f"request line: {name}", line + REST, 400) for name, line in LINES.items()),
        *(case(f"foreign: {name}", sent, 400) for name, sent in FOREIGN.items()),
        *(case(f"method: {method[:20]}", head(method), 405) for method in ODD_METHODS),
        case("method: every character of a token", head("!#$%&'*+-.^_|~"), 405),
        case("method: CONNECT to a host", head("CONNECT", "test:443"), 400),
        case("method: CONNECT to a path", head("CONNECT", LIVE), 405),
        case("method: TRACE that is limited", head("TRACE", LIVE, "Max-Forwards: 0"), 405),
    ]
