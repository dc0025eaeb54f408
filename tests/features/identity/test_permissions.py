"""Which permissions there are, and that no route is open or closed to keys by oversight."""

from __future__ import annotations

from typing import Any

import pytest
from quart import Blueprint

from app.bootstrap import FEATURES
from app.cli import make_application
from app.core.lifecycle import Lifecycle
from app.feature import Feature
from app.server import create_app
from app.web import ADMIN, PUBLIC, SIGNED_IN, Audience, endpoint
from app.web.permissions import Permission, permissions_of
from app.web.url_map import routes_of
from tests.harness.settings import TestSettings, make_settings

# What a machine has no business with: who one is signed in as, and what could make its access outlive its key.
FOR_PEOPLE = {
    "DELETE /api/v1/api-keys/<uuid:key_id>",
    "DELETE /api/v1/auth/second-factor",
    "DELETE /api/v1/sessions",
    "DELETE /api/v1/sessions/<uuid:revoked_id>",
    "GET /api/v1/api-keys",
    "GET /api/v1/auth/second-factor",
    "GET /api/v1/sessions",
    "POST /api/v1/api-keys",
    "POST /api/v1/api-keys/<uuid:key_id>/rotate",
    "POST /api/v1/auth/logout",
    "POST /api/v1/auth/password",
    "POST /api/v1/auth/second-factor",
    "POST /api/v1/auth/second-factor/confirm",
    "POST /api/v1/auth/second-factor/recovery-codes",
}


@pytest.fixture
def settings(tmp_path: Any) -> TestSettings:
    """Nothing is opened."""
    return make_settings(tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none", redis_url="redis://127.0.0.1:1")


def test_every_route_asks_for_a_permission_or_is_for_people_on_purpose(settings: TestSettings) -> None:
    read = settings()

    asking = {
        f"{method} {route.path}"
        for route in routes_of(make_application(read), read)
        for method in (route.methods or ("WEBSOCKET",))
        if route.endpoint.policy.audience in {Audience.USER, Audience.ADMIN, Audience.SOCKET}
        and route.endpoint.policy.permission is None
    }

    assert asking == FOR_PEOPLE


def test_a_permission_is_for_administrators_where_all_its_routes_are(settings: TestSettings) -> None:
    routes = Blueprint("things", __name__, url_prefix="/things")

    for name, policy in (
        ("none", PUBLIC),
        ("people", SIGNED_IN),
        ("read", SIGNED_IN.but(permission="things:read")),
        ("read_all", ADMIN.but(permission="things:read")),
        ("write", ADMIN.but(permission="things:write")),
        ("erase", ADMIN.but(permission="things:write")),
    ):

        @routes.get(f"/{name}", endpoint=name)
        @endpoint(policy)
        async def answer() -> str:
            """Answer."""
            return ""

    app = create_app(settings(), [Feature(name="things", routes=(routes,))], lifecycle=Lifecycle())

    assert permissions_of(app) == [
        Permission("things:read", ("things.read", "things.read_all"), admin_only=False),
        Permission("things:write", ("things.erase", "things.write"), admin_only=True),
    ]


def test_permissions_are_named_alike(settings: TestSettings) -> None:
    found = permissions_of(create_app(settings(), FEATURES, lifecycle=Lifecycle()))

    assert {each.name for each in found} >= {"profile:read", "realtime:connect", "tasks:read", "tasks:write"}
    assert all(each.name.count(":") == 1 and each.name.islower() for each in found)
