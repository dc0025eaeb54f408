"""Whether a request that changes something comes from a page of this service."""

from __future__ import annotations

from collections.abc import Sequence

from quart import Request, Websocket


def check(incoming: Request | Websocket, csrf_token: str, origins: Sequence[str]) -> None:
    """Raises `CsrfRefused`."""
