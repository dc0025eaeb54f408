"""Who calls: what credentials prove, as every edge knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

ADMIN_ROLE = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request or opened a socket, as its credentials prove.

    `credential` names what was shown (such as `session:<id>`, never the secret itself), so that the sockets of one
    sign-in can be closed alone; `expires_at` is when it ends by itself, None where it does not.
    """

    id: str
    role: str = "user"
    permissions: frozenset[str] = frozenset()
    credential: str = ""
    expires_at: datetime | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN_ROLE
