"""The URL of a Redis, checked and kept whole, because the client takes a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from app.core.settings.faults import Rejected
from app.core.settings.secret import MASK, SecretUrl

from .kind import Kind
from .url import UrlParts, split_url

SCHEMES = ("redis", "rediss", "unix")
OPTIONS = ("db", "protocol", "ssl_cert_reqs", "ssl_ca_certs")


@dataclass(frozen=True)
class RedisUrl(Kind[SecretUrl]):
    """redis://, rediss:// or unix://, with a database number and few options."""

    secret: ClassVar[bool] = True

    @property
    def accepts(self) -> str:
        return "redis://user:password@host:port/0, rediss:// for TLS, or unix:///path/to/socket?db=0"

    def from_text(self, text: str) -> SecretUrl:
        url = split_url(text, schemes=SCHEMES, options=OPTIONS)
        _check_address(url)
        _check_number(url)
        return SecretUrl(text, _masked(text, url))

    def holds_secret(self, value: SecretUrl) -> bool:
        return str(value) != value.reveal()


def _check_address(url: UrlParts) -> None:
    if url.scheme == "unix" and not (url.path.startswith("/") and len(url.path) > 1):
        raise Rejected("the URL names no socket")
    if url.scheme != "unix" and not url.host:
        raise Rejected("the URL names no host")


def _check_number(url: UrlParts) -> None:
    from_path = "" if url.scheme == "unix" else url.path.removeprefix("/")
    numbers = [number for number in (from_path, url.options.get("db", "")) if number]
    if len(numbers) > 1:
        raise Rejected("the URL names the database twice")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise Rejected("the database in the URL is not a number")


def _masked(text: str, url: UrlParts) -> str:
    if not url.user and url.password is None:
        return text
    # A token is often written where the user belongs, so the whole of it is masked.
    scheme, _, rest = text.partition("://")
    return f"{scheme}://{MASK}@{rest.rpartition('@')[2]}"
