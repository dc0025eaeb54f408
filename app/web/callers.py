"""What a feature that knows people and machines tells the edge: who calls, and whether they still may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from quart import Request, Websocket

from app.core.callers import ADMIN_ROLE, Caller
from app.core.resources import Resources

__all__ = ["ADMIN_ROLE", "Authenticator", "Caller", "Reviewer"]

# Gives None where the request or the handshake carries no credentials; raises `Unauthorized` for bad ones. The edge
# asks it for every route whose audience is `user`, `admin` or `socket`.
Authenticator = Callable[[Request | Websocket, Resources], Awaitable[Caller | None]]

# Gives those of the credentials (`Caller.credential`, each once) that still hold; asked for all open sockets of a
# process together, every `websocket.review_interval` seconds.
Reviewer = Callable[[Sequence[str], Resources], Awaitable[Collection[str]]]
