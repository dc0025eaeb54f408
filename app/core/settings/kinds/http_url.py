"""The address of another HTTP service, or nothing where it is not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from app.core.settings.faults import Rejected

from .kind import Kind
from .url import split_url

SCHEMES = ("http", "https")


@dataclass(frozen=True)
class HttpUrl(Kind[str]):
    """http:// or https:// with a host; no login in it, since it is shown; empty for none."""

    takes_empty: ClassVar[bool] = True

    @property
    def accepts(self) -> str:
        return "http://host:port/path, https:// for TLS, or nothing"

    def from_text(self, text: str) -> str:
        if not text:
            return ""
        url = split_url(text, schemes=SCHEMES, options=())
        if url.user or url.password:
            raise Rejected("the URL holds a login, which would be shown wherever the settings are")
        if not url.host:
            raise Rejected("the URL names no host")
        return text.rstrip("/")
