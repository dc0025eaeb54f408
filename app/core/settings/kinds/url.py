"""Takes connection URLs apart without ever repeating a piece that may belong to a password."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote

from app.core.settings.faults import Rejected, nearest

SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}")


@dataclass(frozen=True)
class UrlParts:
    """The percent-decoded parts of a connection URL; what is not there is empty or None."""

    scheme: str
    user: str
    password: str | None
    host: str
    port: str
    path: str
    options: dict[str, str]


def split_url(text: str, *, schemes: Collection[str], options: Collection[str]) -> UrlParts:
    """Take a URL apart; any scheme or option not listed is refused by name. Raises `Rejected`."""
    if not text.isprintable() or " " in text:
        raise Rejected("the URL holds a space or a control character")
    scheme, separator, rest = text.partition("://")
    _check_scheme(scheme if separator else "", schemes)
    before_query, _, query = rest.partition("?")
    authority, slash, path = before_query.partition("/")
    _refuse_bare_specials(rest, authority)
    login, at, address = authority.rpartition("@")
    user, colon, password = login.partition(":")
    if at and colon and not password:
        raise Rejected("the password in the URL is empty; leave the ':' before the '@' out")
    host, port = _address(address)
    return UrlParts(
        scheme=scheme,
        user=_decode(user),
        password=_decode(password) if colon else None,
        host=_decode(host),
        port=port,
        path=_decode(slash + path),
        options=_options(query, options),
    )


def _check_scheme(scheme: str, known: Collection[str]) -> None:
    if not SCHEME.fullmatch(scheme):
        raise Rejected("this is not a URL")
    if scheme not in known:
        raise Rejected(f"the scheme {scheme!r} of the URL is not known here", nearest(scheme, known, cutoff=0.7))


def _refuse_bare_specials(rest: str, authority: str) -> None:
    # A bare '/', '?', '#' or '@' in a password moves the rest of it into the host or the options; the parts
    # would then be wrong, and an error about them would print the password.
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


def _address(text: str) -> tuple[str, str]:
    if "," in text:
        raise Rejected("the URL names several hosts, and one is expected")
    bracketed, bracket, after = text.rpartition("]")
    host, colon, port = (bracketed.removeprefix("["), *after.partition(":")[1:]) if bracket else text.partition(":")
    if colon:
        check_port(port)
    return host, port


def check_port(digits: str) -> None:
    """Raise `Rejected` unless this is a port; it is not repeated, since after a stray ':' it is a password."""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) <= 65535):
        raise Rejected("the port in the URL is not a number from 1 to 65535")


def _options(query: str, known: Collection[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        if name not in known:
            raise Rejected(f"the option {name!r} in the URL is not known here", nearest(name, known))
        if not value or name in options:
            raise Rejected(f"the option {name!r} in the URL " + ("is given twice" if value else "has no value"))
        options[name] = _decode(value)
    return options
