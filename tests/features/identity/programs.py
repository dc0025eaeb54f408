"""Programs for the tests of tokens: they hold a pair, and tests write, move and count the rows behind it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from websockets.asyncio.client import connect

from app.core.database import Database
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.features.identity.models import Visitor
from app.features.identity.repository.users import select_user_to_sign_in
from app.features.identity.service import tokens
from app.features.identity.service.people import user_of
from app.features.identity.service.sign_in import Proven
from app.features.identity.service.token_pairs import Pair
from tests.features.identity.people import API, Person
from tests.harness.app_process import AppProcess
from tests.harness.talking import Talk
from tests.harness.waiting import eventually

HERE = Visitor("127.0.0.1", "a program")
FOR_USERS = f"{API}/realtime/tickets"  # a route that asks who calls, and for nothing else


@asynccontextmanager
async def resources_of(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings, Lifecycle()) as opened:
        yield opened


async def issued(resources: Resources, person: Person) -> Pair:
    """A sign-in, past the password."""
    row = await select_user_to_sign_in(resources.database, person.email)
    assert row is not None
    return await tokens.issue(resources, Proven(user_of(row), row["password_hash"]), HERE)


def said_by(token: str) -> dict[str, Any]:
    """The claims, believed without a look at the signature."""
    return _decoded(token.split(".")[1])


def header_of(token: str) -> dict[str, Any]:
    return _decoded(token.partition(".")[0])


def _decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def family_of(pair: Pair) -> UUID:
    return UUID(said_by(pair.access_token)["sid"])


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status_of(app: AppProcess, token: str) -> int:
    """What a route for those who have signed in answers to it: 201 where it holds."""
    return (await app.http.post(FOR_USERS, headers=bearing(token))).status_code


async def refreshed(app: AppProcess, refresh_token: str) -> httpx.Response:
    return await app.http.post(f"{API}/auth/token/refresh", json={"refresh_token": refresh_token})


async def events_of(db: Database, name: str) -> list[dict[str, Any]]:
    rows = await db.fetch_all("SELECT payload FROM outbox WHERE event_type = :name", {"name": f"identity.{name}"})
    return [row["payload"] for row in rows]


async def grow_old(db: Database, seconds: float) -> None:
    """As if all that was revoked had been so much earlier."""
    moved = await db.fetch_all(
        "UPDATE jwt_tokens SET revoked_at = revoked_at - :by * interval '1 second' WHERE revoked RETURNING jti",
        {"by": seconds},
    )
    assert moved, "nothing was revoked yet"


@asynccontextmanager
async def socket_of(app: AppProcess, token: str) -> AsyncIterator[Talk]:
    """An open socket of whoever holds the access token."""
    await eventually(lambda: app.events("realtime_connected"), within=30)  # else a resync may come at any time
    url = f"{app.url.replace('http', 'ws')}/ws"
    async with connect(url, additional_headers=bearing(token), proxy=None, compression=None) as socket:
        talk = Talk(socket)
        talk.welcome = await talk.next()
        talk.own = [await talk.next() for _ in range(2)]
        yield talk
