"""Limits on the head of a request, whatever route it is for: how large, how many, and what an address may look like."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import unquote

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebsocketScope

from app.core.errors import AppError, BadRequest, HeadersTooLarge, UriTooLong
from app.web.policy import KIB
from app.web.refusal import refuse

MOST_HEADERS = 100
MOST_BYTES = 16 * KIB  # of names and values together, with what stands between them
MOST_TARGET = 8 * KIB  # of the address with its query
BETWEEN = 4  # ": " and the end of the line

HOST = b"host"
REMOTE_ADDR = b"remote-addr"
# A name that DNS could hold, or an address. Quart fails on any other (a label of more than 63 bytes, or of none).
NAME = rb"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,126}\.?|\[[0-9A-Fa-f:.]{2,45}\]"
PORT = rb"(?::[0-9]{0,5})?"
SANE_HOST = re.compile(rb"(?:(?:%b)%b)?" % (NAME, PORT))
# RFC 9112, 3.2.2: a server must take the form that is meant for proxies. Not with a name and password in it.
ABSOLUTE = re.compile(rb"https?://(?P<host>(?:%b)%b)(?P<path>/.*)?" % (NAME, PORT), re.IGNORECASE)
# Control characters, which end strings early and forge lines, and what is no UTF-8: many addresses would be one.
UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")


class HeadLimits:
    """Refuses what is too large or no address, and takes out what only a server may say.

    Hypercorn's own limit depends on how the bytes arrive: up to 64 KiB in one piece pass it.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan":
            try:
                scope = _checked(scope)
            except AppError as error:
                await refuse(scope, send, error)
                return
        await self.app(scope, receive, send)


def _checked(scope: HTTPScope | WebsocketScope) -> HTTPScope | WebsocketScope:
    """The scope to serve, most often the same one. Raises the `AppError` that refuses it."""
    if len(scope["raw_path"]) + len(scope["query_string"]) >= MOST_TARGET:
        raise UriTooLong
    headers = cast(list[tuple[bytes, bytes]], scope["headers"])
    spoofed = _check_headers(headers)
    if scope["raw_path"][:1] != b"/":  # not the decoded path, where %2f would do
        scope = _from_other_form(scope, headers)
    if UNFIT.search(scope["path"]):
        raise BadRequest("The address holds bytes that are not UTF-8, or control characters.")
    if spoofed:
        # Quart appends it to its own header of this name, which holds the real address.
        scope = _copy(scope, headers=[pair for pair in scope["headers"] if pair[0] != REMOTE_ADDR])
    return scope


def _check_headers(headers: list[tuple[bytes, bytes]]) -> bool:
    """True where a header pretends to be of the server."""
    if len(headers) > MOST_HEADERS:
        raise HeadersTooLarge
    size, spoofed = BETWEEN * len(headers), False
    for name, value in headers:
        size += len(name) + len(value)
        if name == HOST:
            if not SANE_HOST.fullmatch(value):
                raise BadRequest("The header Host names no host.")
        elif name == REMOTE_ADDR:
            spoofed = True
    if size > MOST_BYTES:
        raise HeadersTooLarge
    return spoofed


def _from_other_form(
    scope: HTTPScope | WebsocketScope, headers: list[tuple[bytes, bytes]]
) -> HTTPScope | WebsocketScope:
    """An address that does not begin with a slash: `*`, a whole URL, or none at all."""
    if scope["type"] == "http" and scope["method"] == "OPTIONS" and scope["raw_path"] == b"*":
        return scope
    match = ABSOLUTE.fullmatch(scope["raw_path"])
    if match is None:
        raise BadRequest("An address begins with a slash.")
    path = match["path"] or b"/"
    # The host in the address counts, and the header is ignored.
    others = [pair for pair in headers if pair[0] != HOST]
    return _copy(scope, raw_path=path, path=unquote(path.decode()), headers=[(HOST, match["host"]), *others])


def _copy(scope: HTTPScope | WebsocketScope, **changes: Any) -> HTTPScope | WebsocketScope:  # noqa: ANN401  (each key has its own type)
    """A shallow copy: the server goes on using its own scope."""
    return {**scope, **changes}  # type: ignore[return-value]  # the same kind of scope
