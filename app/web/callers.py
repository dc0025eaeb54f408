"""Who calls: what a feature that knows people and machines tells the edge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from quart import Request

from app.core.resources import Resources

ADMIN_ROLE = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as its credentials prove."""

    id: str
    role: str = "user"
    permissions: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN_ROLE


# Gives None where the request carries no credentials; raises `Unauthorized` for bad ones. The edge asks it for
# every route whose audience is `user` or `admin`.
Authenticator = Callable[[Request, Resources], Awaitable[Caller | None]]
