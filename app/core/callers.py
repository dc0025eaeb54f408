"""Who calls: what credentials prove, as every edge knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

ADMIN_ROLE = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request or opened a socket, as its credentials prove.

    `permissions` are what the key of a machine was given, and nothing else opens to it; None for a person, who may do
    what the role may. `credential` names what was shown (such as `session:<id>`, never the secret itself), so that the
    sockets of one sign-in can be closed alone; `expires_at` is when it ends by itself, None where it does not.
    `complete` is False for somebody who has to add to their sign-in first, such as a second factor.
    """

    id: str
    role: str = "user"
    permissions: frozenset[str] | None = None
    credential: str = ""
    expires_at: datetime | None = None
    complete: bool = True

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN_ROLE

    def has(self, permission: str | None) -> bool:
        """Whether the key allows what the route asks for; a key opens no route that asks for nothing."""
        return self.permissions is None or permission in self.permissions
