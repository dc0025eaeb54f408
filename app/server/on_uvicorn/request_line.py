"""What of a head is read here, and what is left to llhttp: the first line is ours, so that every method is one.

llhttp knows some forty methods, and has its own opinion on the addresses of each. What it is given in the place of the
line asks for `/`. The headers, and with them where the body ends, are its business.
"""

from __future__ import annotations

import re
from typing import NamedTuple

END = b"\r\n\r\n"
# RFC 9112, 3, as h11 reads it: a token, visible characters, and a version of two digits.
LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])\r\n")
FOLD = re.compile(rb"\r\n[ \t]+")
UPGRADE = re.compile(rb"(?<=\r\n)upgrade(?=:)", re.IGNORECASE)
# Under its own name, llhttp takes what follows for another protocol, whichever is asked for; all but one are ignored.
UPGRADE_HERE = b"x-plinth-upgrade"
CODING = re.compile(rb"\r\ntransfer-encoding:[ \t]*([\t\x20-\xff]*?)[ \t]*(?=\r\n)", re.IGNORECASE)


class RequestLine(NamedTuple):
    """The first line of a head."""

    method: bytes
    target: bytes
    version: bytes


def read_line(head: bytes) -> tuple[RequestLine, bytes] | None:
    """The line, and the head as llhttp shall have it; None where the line is none. `head` is whole."""
    match = LINE.match(head)
    if match is None or head[match.end()] in b" \t":
        return None
    line = RequestLine(*match.groups())
    rest = head[match.end() - 2 :]
    if b"\r\n " in rest or b"\r\n\t" in rest:
        rest = FOLD.sub(b" ", rest)  # RFC 9112, 5.2
    if b"pgrade:" in rest.lower():
        rest = UPGRADE.sub(UPGRADE_HERE, rest)
    return line, b"GET / HTTP/%b%b" % (line.version, rest)


def is_coded_otherwise(head: bytes) -> bool:
    """True where the body is said to be in chunks and something else, or not in chunks at all."""
    codings = CODING.findall(head)
    return bool(codings) and [coding.lower() for coding in codings] != [b"chunked"]
