"""Short plain text: names and hosts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import ClassVar

from app.core.settings.faults import Rejected, quote

from .kind import Kind

LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*\.?")


@dataclass(frozen=True)
class Name(Kind[str]):
    """A name of printable ASCII without spaces, as a log field carries it."""

    longest: int

    @property
    def accepts(self) -> str:
        return f"1 to {self.longest} printable ASCII characters without spaces"

    def from_text(self, text: str) -> str:
        if len(text) > self.longest:
            raise Rejected(f"{quote(text)} has {len(text)} characters")
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise Rejected(f"{quote(text)} holds a character that is not allowed")
        return text


@dataclass(frozen=True)
class Line(Kind[str]):
    """Printable text in one line, as a mail's sender or another service's name; nothing stands for none."""

    longest: int

    takes_empty: ClassVar[bool] = True

    @property
    def accepts(self) -> str:
        return f"at most {self.longest} printable characters, or nothing"

    def from_text(self, text: str) -> str:
        if len(text) > self.longest:
            raise Rejected(f"{quote(text)} has {len(text)} characters")
        if not text.isprintable():
            raise Rejected(f"{quote(text)} holds a character that is not allowed")
        return text


@dataclass(frozen=True)
class Identifier(Kind[str]):
    """A name inside PostgreSQL, which cuts longer ones short without an error."""

    @property
    def accepts(self) -> str:
        return "1 to 63 bytes of printable text"

    def from_text(self, text: str) -> str:
        if len(text.encode()) > 63 or not text.isprintable():
            raise Rejected(f"{quote(text)} is not a name that PostgreSQL keeps as it is")
        return text


@dataclass(frozen=True)
class Host(Kind[str]):
    """A host name or an IP address; `sockets` also lets the folder of a Unix socket through."""

    sockets: bool = False

    @property
    def accepts(self) -> str:
        return "a host name or an IP address" + (", or the folder of a Unix socket" if self.sockets else "")

    def from_text(self, text: str) -> str:
        folder = self.sockets and text.startswith("/") and text.isprintable()
        if not (folder or is_address(text) or HOST_NAME.fullmatch(text)):
            raise Rejected(f"{quote(text)} is not a host")
        return text


def is_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
