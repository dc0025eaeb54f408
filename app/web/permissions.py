"""Which permissions there are: those that some route asks an API key for, and no others."""

from __future__ import annotations

from dataclasses import dataclass

from app.web.application import Application
from app.web.endpoint import UNDECLARED, declared
from app.web.policy import Audience


@dataclass(frozen=True)
class Permission:
    """A name as policies have it, and what it opens: the routes by their names, as `app routes` lists them."""

    name: str
    routes: tuple[str, ...]
    admin_only: bool  # every one of them is for administrators


def permissions_of(app: Application) -> list[Permission]:
    """By name."""
    routes: dict[str, set[str]] = {}
    open_to_users: set[str] = set()
    for name, view in app.view_functions.items():
        policy = (declared(view) or UNDECLARED).policy
        if policy.permission is not None:
            routes.setdefault(policy.permission, set()).add(name)
            if policy.audience is not Audience.ADMIN:
                open_to_users.add(policy.permission)
    return [Permission(name, tuple(sorted(routes[name])), name not in open_to_users) for name in sorted(routes)]
