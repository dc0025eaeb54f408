"""What every connection URL has in common, read without ever repeating a piece that may be a password."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from app.core.settings.faults import Rejected, nearest


@dataclass(frozen=True)
class UrlParts:
    """The percent-decoded parts of a connection URL; what is not there is empty or None."""

    scheme: str
    user: str
    password: str | None
    host: str
    port: int | None
    path: str
    options: dict[str, str]


def split_url(text: str, *, schemes: Collection[str], options: Collection[str]) -> UrlParts:
    """Take a URL apart; any scheme or option not listed is refused by name. Raises `Rejected`."""
    if not text.isprintable() or " " in text:
        raise Rejected("the URL holds a space or a control character")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in schemes:
        raise Rejected("the URL has another scheme" if separator else "this is not a URL")
    _refuse_bare_specials(rest)
    parts = urlsplit(text)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    return UrlParts(
        scheme=scheme,
        user=_decode(user),
        password=_decode(password) if ":" in parts.netloc.rpartition("@")[0] else None,
        host=_host(parts.hostname or ""),
        port=_port(parts.netloc.rpartition("@")[2]),
        path=_decode(parts.path),
        options=_options(parts.query, options),
    )


def _refuse_bare_specials(rest: str) -> None:
    # A bare '/', '?', '#' or '@' in a password moves the rest of it into the host or the options; the parts
    # would then be wrong, and an error about them would print the password.
    authority = rest.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    if rest.count("@") > 1 or "@" in rest[len(authority) :] or "#" in rest:
        raise Rejected("a special character in the URL (one of : / ? # @ %) must be percent-encoded")


def _decode(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Rejected("the URL holds percent-encoded bytes that are not UTF-8") from None
    if "\0" in decoded:
        raise Rejected("the URL holds a NUL character")
    return decoded


def _host(text: str) -> str:
    host = _decode(text)
    if "," in host:
        raise Rejected("the URL names several hosts; one is expected")
    return host


def _port(address: str) -> int | None:
    _, colon, digits = address.rpartition("]")[2].rpartition(":")
    if not colon or not digits:
        return None
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) <= 65535):
        # The piece is not repeated: after a misplaced ':' it would be part of a password.
        raise Rejected("the port in the URL is not a number from 1 to 65535")
    return int(digits)


def _options(query: str, known: Collection[str]) -> dict[str, str]:
    pairs = [(_decode(key), _decode(value)) for key, value in parse_qsl(query, keep_blank_values=True)]
    for key, _ in pairs:
        if key not in known:
            raise Rejected(f"the option {key!r} in the URL is not known here", nearest(key, known))
    if len(dict(pairs)) < len(pairs):
        raise Rejected("an option in the URL is given twice")
    return dict(pairs)
