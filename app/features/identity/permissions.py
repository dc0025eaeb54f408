"""The permissions that a key may be given, as the routes of the whole application ask for them."""

from __future__ import annotations

from app.features.identity.service.keys import Offered
from app.web import Application
from app.web.permissions import permissions_of


def offered_by(app: Application) -> Offered:
    known = permissions_of(app)
    return Offered(
        to_all=frozenset(each.name for each in known if not each.admin_only),
        to_admins=frozenset(each.name for each in known if each.admin_only),
    )
