"""The URL of a PostgreSQL database, read into the parts that the settings hold.

`databases` drops URL options such as sslmode without a word; here an option is understood or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from app.core.settings.faults import Rejected

from .kind import Kind
from .url import UrlParts, check_port, split_url

SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
OPTIONS = ("sslmode", "host", "port")
DEFAULT_PORT = "5432"


@dataclass(frozen=True)
class DatabaseUrl(Kind[dict[str, str]]):
    """A URL that stands for host, port, name, user, password and sslmode, each as text."""

    secret: ClassVar[bool] = True

    @property
    def accepts(self) -> str:
        return "postgresql://user:password@host:port/name, with ?sslmode= and, for a Unix socket, ?host=/folder"

    def holds_secret(self, value: dict[str, str]) -> bool:
        return "password" in value

    def from_text(self, text: str) -> dict[str, str]:
        url = split_url(text, schemes=SCHEMES, options=OPTIONS)
        if "/" in url.path[1:]:
            raise Rejected("the URL has more than one name after the host")
        parts = {**_address(url), "name": url.path[1:], "user": url.user, "sslmode": url.options.get("sslmode", "")}
        given = {name: value for name, value in parts.items() if value}
        return given if url.password is None else {**given, "password": url.password}


def _address(url: UrlParts) -> dict[str, str]:
    folder, port = url.options.get("host", ""), url.options.get("port", "")
    if (folder and url.host) or (port and url.port):
        raise Rejected("the URL names the host or the port twice")
    if port:
        check_port(port)
    host = folder or url.host
    # A URL with a host and no port means 5432, not the port that a weaker layer gave to another host.
    return {"host": host, "port": port or url.port or (DEFAULT_PORT if host else "")}
