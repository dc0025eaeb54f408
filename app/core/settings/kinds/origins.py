"""Lists of web origins, as CORS compares them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from app.core.settings.faults import Rejected, quote

from .lists import ListKind
from .text import HOST_NAME, is_address

Origin = str
DEFAULT_PORT = {"http": 80, "https": 443}
PATH = re.compile(r"(https?://[^/?#]+)[/?#].*", re.DOTALL)


@dataclass(frozen=True)
class Origins(ListKind[Origin]):
    """Origins in the form in which browsers send them."""

    @property
    def accepts(self) -> str:
        return "origins such as https://example.com, as 'a,b' or as JSON"

    def item(self, text: str) -> Origin:
        return parse_origin(text)


def parse_origin(text: str) -> Origin:
    """Read one origin into the browser's own spelling: lower case, no default port. Raises `Rejected`."""
    if text in {"*", "null"}:
        raise Rejected(f"{quote(text)} would let any site call with the user's cookies")
    if with_path := PATH.fullmatch(text):
        raise Rejected(f"{quote(text)} has more than scheme, host and port", with_path[1])
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Rejected(f"{quote(text)} is not an origin") from None
    if not _sound(parts, text):
        raise Rejected(f"{quote(text)} is not an origin")
    suffix = "" if port in {None, DEFAULT_PORT[parts.scheme]} else f":{port}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{suffix}"


def _sound(parts: SplitResult, text: str) -> bool:
    host = parts.hostname or ""
    return (
        parts.scheme in DEFAULT_PORT
        and "@" not in text
        and not text.endswith(":")
        and (is_address(host) or HOST_NAME.fullmatch(host) is not None)
    )
