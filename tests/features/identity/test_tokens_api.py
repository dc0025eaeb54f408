"""Tokens over HTTP: signing in as a program, and giving tokens back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from app.core.database import Database
from app.core.resources import Resources
from app.features.identity.errors import SignInFailed
from app.features.identity.service import tokens
from app.features.identity.service.access_tokens import AccessToken, sign
from app.features.identity.service.sign_in import prove_password
from tests.features.identity.forging import signed
from tests.features.identity.people import API, PATIENT, Person, make_person
from tests.features.identity.programs import (
    HERE,
    events_of,
    family_of,
    header_of,
    issued,
    refreshed,
    resources_of,
    said_by,
    socket_of,
    status_of,
)
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings

TOKEN = f"{API}/auth/token"


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with resources_of(settings()) as opened:
        yield opened


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db)


async def sign_in(app: AppProcess, person: Person, **more: object) -> httpx.Response:
    return await app.http.post(TOKEN, json={"email": person.email, "password": person.password, **more})


async def revoked(app: AppProcess, token: str) -> httpx.Response:
    return await app.http.post(f"{TOKEN}/revoke", json={"token": token})


async def test_a_program_signs_in_with_a_password(app_process: StartApp, db: Database, ada: Person) -> None:
    app = await app_process(PATIENT)

    answer = await sign_in(app, ada)
    again = await sign_in(app, ada)
    kept = await app.http.post(
        TOKEN, json={"email": ada.email, "password": ada.password}, headers={"Idempotency-Key": "one-and-the-same"}
    )

    told, claims = answer.json(), said_by(answer.json()["access_token"])
    now = int(time.time())
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert set(told) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    assert header_of(told["access_token"])["typ"] == "at+jwt"
    assert header_of(told["access_token"])["alg"] == "HS256"
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("plinth", "plinth", str(ada.id))
    assert (claims["nbf"], claims["exp"] - claims["iat"]) == (claims["iat"], 900)
    assert abs(claims["iat"] - now) < 60
    assert "role" not in claims, "what somebody may do is asked at each request"
    assert await status_of(app, told["access_token"]) == 201
    assert again.json()["refresh_token"] != told["refresh_token"]
    assert kept.status_code == 400, "no answer with a secret is stored to be given again"
    assert {event["about"] for event in await events_of(db, "tokens_issued")} == {
        claims["sid"],
        said_by(again.json()["access_token"])["sid"],
    }


async def test_nobody_signs_in_by_half(app_process: StartApp, db: Database, ada: Person) -> None:
    app = await app_process()
    await make_person(db, email="gone@people.example", active=False)
    gone = Person(ada.id, "gone@people.example", ada.password)
    wrong = Person(ada.id, ada.email, "not the password")
    unknown = Person(ada.id, "nobody@people.example", ada.password)

    refusals = [await sign_in(app, person) for person in (wrong, unknown, gone)]
    long = await sign_in(app, Person(ada.id, ada.email, "é" * 513))  # 1026 bytes
    more = await sign_in(app, ada, role="admin")

    assert [answer.status_code for answer in refusals] == [401, 401, 401]
    assert len({answer.content for answer in refusals}) == 1
    assert [long.status_code, more.status_code] == [400, 400]
    assert await db.fetch_val("SELECT count(*) FROM jwt_tokens") == 0


async def test_the_password_that_is_changed_meanwhile_opens_nothing(
    resources: Resources, db: Database, ada: Person
) -> None:
    """A naive service gives tokens for the old password, just behind the end of all tokens."""
    proven = await prove_password(resources, HERE, email=ada.email, password=ada.password)
    await db.execute("UPDATE users SET password_hash = 'another'")

    with pytest.raises(SignInFailed):
        await tokens.issue(resources, proven, HERE)

    assert await db.fetch_val("SELECT count(*) FROM jwt_tokens") == 0


@pytest.mark.parametrize("given", ["access_token", "refresh_token"])
async def test_whoever_gives_a_token_back_is_out_everywhere_at_once(
    given: str, app_process: StartApp, resources: Resources, db: Database, ada: Person
) -> None:
    here, there = await app_process(PATIENT), await app_process(PATIENT)
    pair, other = await issued(resources, ada), await issued(resources, ada)
    assert [await status_of(app, pair.access_token) for app in (here, there)] == [201, 201]

    async with socket_of(there, pair.access_token) as socket, socket_of(there, other.access_token) as another:
        answer = await revoked(here, getattr(pair, given))
        now = await asyncio.gather(*(status_of(app, pair.access_token) for app in (here, there)))
        code, _ = await socket.ended()
        assert await another.is_silent(), "another sign-in of theirs stays"

    assert (answer.status_code, answer.content, answer.headers["Cache-Control"]) == (204, b"", "no-store")
    assert now == [401, 401]
    assert code == 1008
    assert (await refreshed(there, pair.refresh_token)).status_code == 401
    assert await status_of(there, other.access_token) == 201
    assert (await revoked(here, getattr(pair, given))).status_code == 204
    assert [event["about"] for event in await events_of(db, "tokens_revoked")] == [str(family_of(pair))]


async def test_an_expired_access_token_still_ends_its_sign_in(
    app_process: StartApp, resources: Resources, ada: Person
) -> None:
    """A program that has slept signs out with what it has."""
    app = await app_process()
    pair = await issued(resources, ada)
    claims, past = said_by(pair.access_token), datetime.now(UTC) - timedelta(hours=1)
    jti, user_id, family_id = (UUID(claims[name]) for name in ("jti", "sub", "sid"))
    ended = AccessToken(jti, user_id, family_id, past, past + timedelta(seconds=1))
    expired = sign(resources.settings.jwt, ended)
    assert await status_of(app, expired) == 401

    answer = await revoked(app, expired)

    assert answer.status_code == 204
    assert (await refreshed(app, pair.refresh_token)).status_code == 401


async def test_nobody_ends_the_sign_in_of_another(
    app_process: StartApp, resources: Resources, db: Database, ada: Person
) -> None:
    """A naive service reads `jti` without a look at the signature: an id from a log signs people out."""
    app = await app_process(PATIENT)
    pair = await issued(resources, ada)
    claims = json.dumps(said_by(pair.access_token)).encode()
    forged = signed(b"w" * 32, json.dumps(header_of(pair.access_token)).encode(), claims)
    unsealed = pair.refresh_token[:22] + "A" * 42

    answers = [await revoked(app, token) for token in (forged, unsealed, "", "nonsense", "a.b.c", "é" * 2000)]

    assert said_by(forged)["jti"] == said_by(pair.access_token)["jti"], "what the naive one would revoke"
    assert {(answer.status_code, answer.content) for answer in answers} == {(204, b"")}
    assert await status_of(app, pair.access_token) == 201
    assert await events_of(db, "tokens_revoked") == []


async def test_no_token_is_stored_or_logged(
    app_process: StartApp, resources: Resources, db: Database, ada: Person
) -> None:
    app = await app_process("log.level=debug", "log.format=json")
    first = (await sign_in(app, ada)).json()
    renewed = (await refreshed(app, first["refresh_token"])).json()
    await status_of(app, renewed["access_token"])
    await revoked(app, renewed["refresh_token"])
    secrets = [answer[name] for answer in (first, renewed) for name in ("access_token", "refresh_token")]

    rows = [await db.fetch_all(f"SELECT * FROM {table}") for table in ("jwt_tokens", "outbox", "users", "sessions")]  # noqa: S608
    kept = repr([tuple(row) for table in rows for row in table]) + json.dumps(app.logs)

    assert app.events("identity_tokens_revoked"), "it does log"
    assert [token for token in secrets for part in (token, token.rpartition(".")[2][-43:]) if part in kept] == []
    assert len(resources.settings.jwt.secret.reveal()) >= 32
    assert resources.settings.jwt.secret.reveal() not in kept


async def test_the_routes_are_held_to_a_limit_of_the_address(app_process: StartApp) -> None:
    app = await app_process(PATIENT)

    answer = await refreshed(app, "nonsense")
    gone = await revoked(app, "nonsense")

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert [each.headers["X-RateLimit-Limit"] for each in (answer, gone)] == ["300", "300"]
    assert answer.headers["X-RateLimit-Remaining"] == "299"
