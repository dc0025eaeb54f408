"""Who may call a route: nobody passes on what was made up, forged or out of date."""

from __future__ import annotations

import pytest
from quart import Blueprint

from app.core.lifecycle import Lifecycle
from app.feature import Feature
from app.server import create_app
from app.server.app import TwoAuthenticators
from app.web import ADMIN, PUBLIC, SIGNED_IN, Audience, current_caller, endpoint
from tests.harness import signed_tokens
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer, seal, sign
from tests.web.conftest import Serving
from tests.web.opened import opened

routes = Blueprint("audiences", __name__)


@routes.get("/public")
@endpoint(PUBLIC)
async def for_anybody() -> str:
    return "anybody"


@routes.get("/user")
@endpoint(SIGNED_IN)
async def for_users() -> str:
    return current_caller().id


@routes.get("/admin")
@endpoint(ADMIN)
async def for_admins() -> str:
    return current_caller().id


@routes.get("/read")
@endpoint(SIGNED_IN.but(permission="notes:read"))
async def for_readers() -> str:
    return current_caller().id


@routes.get("/audit")
@endpoint(ADMIN.but(permission="notes:audit"))
async def for_auditors() -> str:
    return current_caller().id


@routes.get("/operations")
@endpoint(PUBLIC.but(audience=Audience.OPERATIONS))
async def for_operations() -> str:
    return "operations"


@routes.get("/mistaken")
@endpoint(PUBLIC)
async def asks_who_called() -> str:
    return current_caller().id


feature = Feature("audiences", (routes,), authenticate=signed_tokens.authenticate)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/public", {}, 200),
        ("/public", {"Authorization": "Bearer nonsense"}, 200),  # nobody asked for it
        ("/user", {}, 401),
        ("/user", bearer("ada"), 200),
        ("/user", bearer("root", role="admin"), 200),
        ("/admin", {}, 401),
        ("/admin", bearer("ada"), 403),
        ("/admin", bearer("root", role="admin"), 200),
        ("/mistaken", bearer("ada"), 401),  # a public route knows no caller
    ],
)
async def test_a_route_is_open_to_its_audience(
    settings: TestSettings, serving: Serving, path: str, headers: dict[str, str], status: int
) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        answer = await client.get(path, headers=headers)

    assert answer.status_code == status


async def test_the_handler_is_told_who_calls(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        answers = [await client.get("/user", headers=bearer(caller)) for caller in ("ada", "bob")]

    assert [answer.text for answer in answers] == ["ada", "bob"]


async def test_refusals_say_what_is_missing(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        unknown = await client.get("/user")
        known = await client.get("/admin", headers=bearer("ada"))

    assert unknown.headers["WWW-Authenticate"] == "Bearer"
    assert unknown.json() == {"error": "Sign in first, or send valid credentials.", "code": "UNAUTHORIZED"}
    assert "WWW-Authenticate" not in known.headers
    assert known.json() == {"error": "You may not do this.", "code": "FORBIDDEN"}


GOOD = sign("ada", role="admin")
CREDENTIALS = {
    "nothing": "",
    "no token": "Bearer",
    "another scheme": f"Basic {GOOD}",
    "no signature": f"Bearer {GOOD.partition('.')[0]}",
    "an empty signature": f"Bearer {GOOD.partition('.')[0]}.",
    "another's signature": f"Bearer {GOOD.partition('.')[0]}.{sign('bob').partition('.')[2]}",
    "a payload of the caller's own": f"Bearer {sign('bob').partition('.')[0]}.{GOOD.partition('.')[2]}",
    "signed with another key": f"Bearer {sign('ada', key=b'guessed')}",
    "expired": f"Bearer {sign('ada', expires=1_700_000_000)}",
    "three parts": f"Bearer {GOOD}.{GOOD}",
    "not base64": "Bearer %%%.%%%",
    "not ASCII": "Bearer schl\u00fcssel.t\u00fcr",
    "signed, but not JSON": "Bearer " + seal(b"{"),
    "signed, but not UTF-8": "Bearer " + seal(b"\xff\xfe"),
    "signed, but no claims": "Bearer " + seal(b"[]"),
    "signed, without an end": "Bearer " + seal(b'{"sub": "ada", "role": "admin"}'),
    "very long": "Bearer " + "a" * 10_000,
}


@pytest.mark.parametrize("given", CREDENTIALS.values(), ids=CREDENTIALS.keys())
@pytest.mark.parametrize("path", ["/user", "/admin"])
async def test_any_fault_in_credentials_is_401(settings: TestSettings, serving: Serving, path: str, given: str) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        bad = await client.get(path, headers=[(b"Authorization", given.encode())])
        good = await client.get(path, headers={"Authorization": f"Bearer {GOOD}"})

    assert (bad.status_code, bad.json()["code"], bad.headers["WWW-Authenticate"]) == (401, "UNAUTHORIZED", "Bearer")
    assert good.status_code == 200


async def test_two_credentials_are_none(settings: TestSettings, serving: Serving) -> None:
    both = [("Authorization", f"Bearer {GOOD}"), ("Authorization", f"Bearer {sign('bob')}")]
    async with opened(settings(), feature) as app, serving(app) as client:
        answer = await client.get("/user", headers=both)

    assert answer.status_code == 401


async def test_where_no_feature_knows_callers_nobody_is_known(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), Feature("audiences", (routes,))) as app, serving(app) as client:
        answers = [await client.get(path, headers=bearer("root", role="admin")) for path in ("/user", "/admin")]

    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.parametrize(
    ("overrides", "forwarded", "status"),
    [
        (["telemetry.networks=127.0.0.0/8"], None, 200),
        (["telemetry.networks=10.0.0.0/8"], None, 403),
        (["telemetry.networks=10.0.0.0/8"], "10.0.0.1", 403),  # nobody vouches for that
        (["telemetry.networks=10.0.0.0/8", "server.trusted_proxies=127.0.0.0/8"], "10.0.0.1", 200),
        (["telemetry.networks=10.0.0.0/8", "server.trusted_proxies=127.0.0.0/8"], "10.0.0.1, 192.0.2.1", 403),
        (["telemetry.networks=127.0.0.0/8", "server.trusted_proxies=127.0.0.0/8"], "192.0.2.1", 403),
        (["telemetry.networks=fc00::/7", "server.trusted_proxies=127.0.0.0/8"], "fd00::1", 200),
    ],
)
async def test_operations_call_from_their_networks(
    settings: TestSettings, serving: Serving, overrides: list[str], forwarded: str | None, status: int
) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    async with opened(settings(*overrides), feature) as app, serving(app) as client:
        answer = await client.get("/operations", headers=headers)

    assert answer.status_code == status


def test_two_features_that_know_callers_are_refused(settings: TestSettings) -> None:
    with pytest.raises(TwoAuthenticators, match="Here audiences and signed_tokens do"):
        create_app(settings(), [feature, signed_tokens.feature], lifecycle=Lifecycle())


READER, AUDITOR = ["notes:read"], ["notes:read", "notes:audit"]


@pytest.mark.parametrize(
    ("path", "role", "permissions", "refusal"),
    [
        ("/read", "user", None, ""),  # a person
        ("/read", "user", READER, ""),
        ("/read", "user", [], "This key lacks the permission notes:read."),
        ("/read", "user", ["notes:write", "notes:rea", "notes"], "This key lacks the permission notes:read."),
        ("/read", "admin", ["notes:audit"], "This key lacks the permission notes:read."),
        ("/audit", "admin", AUDITOR, ""),
        ("/audit", "admin", READER, "This key lacks the permission notes:audit."),
        ("/audit", "user", AUDITOR, "You may not do this."),  # a key may no more than its owner
        ("/user", "user", AUDITOR, "This is for people who have signed in; an API key does not open it."),
        ("/admin", "admin", AUDITOR, "This is for people who have signed in; an API key does not open it."),
        ("/public", "user", [], ""),
    ],
)
async def test_a_key_opens_what_it_was_given_and_nothing_else(
    settings: TestSettings, serving: Serving, path: str, role: str, permissions: list[str] | None, refusal: str
) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        answer = await client.get(path, headers=bearer("ada", role=role, permissions=permissions))

    assert answer.status_code == (403 if refusal else 200)
    if refusal:
        assert (answer.json()["code"], answer.json()["error"]) == ("FORBIDDEN", refusal)
