"""Forged access tokens: whatever a naive reader takes for genuine is refused here, and never with a 5xx."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as pace
from hypothesis import strategies as st

from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.ids import new_id
from app.core.resources import Resources
from app.core.settings import Secret
from app.core.settings.sections import Jwt
from app.features.identity.service import access_tokens, tokens
from app.features.identity.service.token_pairs import Pair
from tests.features.identity.forging import FORGERIES, Forgery, header_decides, joined, signature_decides, signed
from tests.features.identity.people import PATIENT, make_person
from tests.features.identity.programs import (
    FOR_USERS,
    header_of,
    issued,
    resources_of,
    said_by,
    status_of,
)
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with resources_of(settings()) as opened:
        yield opened


@pytest.fixture
async def pair(resources: Resources, db: Database) -> Pair:
    return await issued(resources, await make_person(db))


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
async def test_a_forged_token_opens_nothing(forgery: Forgery, resources: Resources, pair: Pair) -> None:
    forged = forgery.make(resources.settings.jwt, pair.access_token)

    believed = forgery.naive(resources.settings.jwt, forged)
    with pytest.raises(Unauthorized):
        await tokens.caller_of(resources, forged)

    assert believed is not None, "a naive reader takes it"
    assert (await tokens.caller_of(resources, pair.access_token)).id == said_by(pair.access_token)["sub"]


async def test_over_http_every_forgery_is_answered_401(app_process: StartApp, resources: Resources, pair: Pair) -> None:
    app = await app_process("rate_limit.enabled=false", PATIENT)
    genuine = pair.access_token
    forged = {each.name: each.make(resources.settings.jwt, genuine) for each in FORGERIES}
    odd = {
        "refresh token": pair.refresh_token,
        "longer than 8 KB": genuine + "A" * 8192,
        "longer than ours ever are": signed(b"k", b"{}", b"x" * 5000),
        "two parts": genuine.rpartition(".")[0],
        "four parts": genuine + ".x",
        "dots": "..",
        "padded": genuine + "=",
        "encrypted (JWE)": "a.b.c.d.e",
        "with spaces": genuine.replace(".", " ."),
    }

    answers = {name: await status_of(app, token) for name, token in {**forged, **odd}.items()}
    latin = await app.http.post(FOR_USERS, headers=[(b"Authorization", f"Bearer {genuine}".encode() + b"\xe9")])

    assert {name: status for name, status in answers.items() if status != 401} == {}
    assert latin.status_code == 401
    assert latin.headers["WWW-Authenticate"] == "Bearer"
    assert await status_of(app, genuine) == 201


@asynccontextmanager
async def key_server(keys: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """An attacker's server of keys, and the requests that it got."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(keys), keys))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys", asked


@pytest.mark.parametrize("field", ["jku", "x5u"])
async def test_no_address_in_a_header_is_ever_asked(field: str, resources: Resources, pair: Pair) -> None:
    secret = b"the attacker's own secret, long enough"
    async with key_server(secret) as (url, asked):
        header = {**header_of(pair.access_token), field: url}
        forged = signed(secret, json.dumps(header).encode(), json.dumps(said_by(pair.access_token)).encode())

        with pytest.raises(Unauthorized):
            await tokens.caller_of(resources, forged)
        by_us = list(asked)
        believed = await _naively_fetched(forged, field)

    assert by_us == []
    assert believed == said_by(pair.access_token)
    assert asked == ["GET /keys HTTP/1.1"], "the naive reader did ask"


async def _naively_fetched(token: str, field: str) -> object:
    """The key is where the token says."""
    async with httpx.AsyncClient() as client:
        key = (await client.get(header_of(token)[field])).text
    return jwt.decode(token, key, algorithms=["HS256"], options={"verify_aud": False})


async def test_a_refresh_token_is_no_access_token_and_the_reverse(
    resources: Resources, pair: Pair, db: Database
) -> None:
    refresh_jti = await db.fetch_val("SELECT jti FROM jwt_tokens WHERE token_type = 'refresh'")
    claims = {**said_by(pair.access_token), "jti": str(refresh_jti)}
    secret = resources.settings.jwt.secret.reveal().encode()
    dressed = signed(secret, json.dumps(header_of(pair.access_token)).encode(), json.dumps(claims).encode())

    for token in (pair.refresh_token, dressed):
        with pytest.raises(Unauthorized):
            await tokens.caller_of(resources, token)


async def test_the_previous_secret_counts_only_while_it_is_set(settings: TestSettings, db: Database) -> None:
    person = await make_person(db)
    old, new = "jwt.secret=" + "o" * 32, "jwt.secret=" + "n" * 32
    async with resources_of(settings(old)) as before:
        pair = await issued(before, person)

    async with resources_of(settings(new, "jwt.previous_secret=" + "o" * 32)) as during:
        caller = await tokens.caller_of(during, pair.access_token)
        fresh = await issued(during, person)
    async with resources_of(settings(new)) as after:
        assert (await tokens.caller_of(after, fresh.access_token)).id == str(person.id)
        with pytest.raises(Unauthorized):
            await tokens.caller_of(after, pair.access_token)

    assert caller.id == str(person.id)
    assert header_of(fresh.access_token)["kid"] != header_of(pair.access_token)["kid"]


async def test_the_new_kid_does_not_lend_itself_to_the_old_secret(settings: TestSettings, db: Database) -> None:
    """A naive reader tries its keys one after another, whatever `kid` says."""
    async with resources_of(settings("jwt.secret=" + "n" * 32, "jwt.previous_secret=" + "o" * 32)) as resources:
        pair = await issued(resources, await make_person(db))
        header, claims = header_of(pair.access_token), said_by(pair.access_token)
        crossed = signed(b"o" * 32, json.dumps(header).encode(), json.dumps(claims).encode())

        with pytest.raises(Unauthorized):
            await tokens.caller_of(resources, crossed)

    assert jwt.decode(crossed, "o" * 32, algorithms=["HS256"], audience="plinth", issuer="plinth") == claims


unhurried = pace(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
SETTINGS = Jwt(
    secret=Secret("s" * 32),
    previous_secret=Secret(""),
    issuer="plinth",
    audience="plinth",
    access_lifetime=900.0,
    refresh_lifetime=2_592_000.0,
    retry_window=10.0,
)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TEXT = st.text(st.characters(max_codepoint=0x2FF), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
HEADER = {"alg": "HS256", "kid": hashlib.sha256(b"s" * 32).hexdigest()[:16], "typ": "at+jwt"}
PARTS = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())
GARBAGE = (
    st.tuples(TEXT, TEXT, TEXT).map(".".join)
    | st.tuples(PARTS, PARTS, PARTS).map(lambda parts: joined(*parts))
    | st.tuples(PARTS, st.binary(min_size=32, max_size=32)).map(
        lambda parts: joined(json.dumps(HEADER).encode(), *parts)
    )
    | TEXT
)


@unhurried
@given(GARBAGE)
def test_garbage_is_refused_and_never_worse(garbage: str) -> None:
    with pytest.raises(Unauthorized):
        access_tokens.read(SETTINGS, garbage, NOW)


CLAIM = JSON | st.sampled_from(["plinth", "01930000-0000-7000-8000-000000000000", 1_893_456_000, 10**30, -(10**30)])
NAMES = ("iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp")


@unhurried
@given(st.dictionaries(st.sampled_from(NAMES), CLAIM, min_size=0, max_size=8))
def test_signed_nonsense_is_refused_and_never_worse(claims: dict[str, object]) -> None:
    """Signed with the right secret: what a mistake of ours elsewhere, or a stolen secret, could make."""
    token = access_tokens.AccessToken(new_id(), new_id(), new_id(), NOW, NOW + timedelta(seconds=9))
    genuine = access_tokens.sign(SETTINGS, token)
    nonsense = signed(b"s" * 32, json.dumps(header_of(genuine)).encode(), json.dumps(claims).encode())

    with pytest.raises(Unauthorized):
        access_tokens.read(SETTINGS, nonsense, NOW)

    assert access_tokens.read(SETTINGS, genuine, NOW).jti == token.jti


def test_a_header_nested_too_deep_is_refused_before_anything_recurses() -> None:
    deep = signed(b"s" * 32, b"[" * 1450 + b"]" * 1450, b"{}")

    with pytest.raises((RecursionError, TypeError)):  # by the version of Python; and a 500, elsewhere
        header_decides(SETTINGS, deep)
    with pytest.raises(Unauthorized):
        access_tokens.read(SETTINGS, deep, NOW)


def test_a_signature_is_written_in_one_way_only() -> None:
    token = access_tokens.AccessToken(new_id(), new_id(), new_id(), NOW, NOW + timedelta(seconds=9))
    genuine = access_tokens.sign(SETTINGS, token)
    others = [genuine + "=", genuine[:-1] + chr(ord(genuine[-1]) + 1), genuine + "\n"]

    for other in others:
        with pytest.raises(Unauthorized):
            access_tokens.read(SETTINGS, other, NOW)

    assert [signature_decides(SETTINGS, other) for other in others] == 3 * [said_by(genuine)], "the same 32 bytes"
