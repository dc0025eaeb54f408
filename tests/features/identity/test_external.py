"""People with tokens of an OpenID provider: a real one signs them, and whatever else comes is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.exceptions import InvalidStatus

from app.core.database import Database
from tests.features.identity.people import API, make_person
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.openid import (
    ACCOUNTS,
    AUDIENCE,
    CLIENT,
    OTHER_CLIENT,
    Key,
    OpenIdProvider,
    claims_of,
    make_key,
    openid_provider,
)
from tests.harness.processes import alive, stalled
from tests.harness.talking import talking
from tests.harness.waiting import eventually

pytestmark = pytest.mark.node

KEY = make_key("one", "RS256")
ACTS = "SELECT event_type, payload FROM outbox WHERE aggregate_id = :id ORDER BY position"


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider(KEY) as running:
        yield running


def trusting(provider: OpenIdProvider, *, audience: str = AUDIENCE, client: str = CLIENT) -> list[str]:
    """The settings of a service that takes the provider's tokens; on a busy machine it may take its time."""
    return [
        f"oidc.issuer={provider.issuer}",
        f"oidc.audience={audience}",
        f"oidc.client_id={client}",
        "oidc.timeout=30",
        "rate_limit.enabled=false",
    ]


@pytest.fixture
async def app(app_process: StartApp, provider: OpenIdProvider) -> AppProcess:
    return await app_process(*trusting(provider))


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status(app: AppProcess, token: str) -> int:
    return (await app.http.get(f"{API}/auth/me", headers=bearing(token))).status_code


async def user_id_of(db: Database, email: str) -> Any:
    return await db.fetch_val("SELECT id FROM users WHERE email = :email", {"email": email})


async def count(db: Database, table: str) -> int:
    found: int = await db.fetch_val(f"SELECT count(*) FROM {table}")  # noqa: S608  (a table of these tests)
    return found


async def test_somebody_new_signs_in_with_a_token_of_the_provider(
    app: AppProcess, provider: OpenIdProvider, db: Database
) -> None:
    token = (await provider.sign_in("amy"))["access_token"]

    answer = await app.http.get(f"{API}/auth/me", headers=bearing(token))
    await eventually(lambda: app.events("realtime_connected"), within=30)  # else it is told a resync in between
    async with talking(app, headers=bearing(token)) as talk:
        own_topic = (await talk.next())["topic"]
        pong = await talk.answer("ping")

    row = await db.fetch_one("SELECT id, email, name, role, email_verified, password_hash FROM users")
    assert row is not None
    assert answer.status_code == 200, answer.text
    assert (own_topic, pong) == (f"user:{row['id']}", {"type": "pong"})
    assert (row["email"], row["name"]) == ("amy@people.example", "Amy")
    assert (row["email_verified"], row["password_hash"]) == (True, None)
    assert row["role"] == "user"  # though the token claims another one
    acts = [each["event_type"] for each in await db.fetch_all(ACTS, {"id": str(row["id"])})]
    assert acts == ["identity.user_created", "identity.external_linked"]


async def test_fifty_first_requests_of_somebody_new_make_one_user(
    app: AppProcess, provider: OpenIdProvider, db: Database
) -> None:
    token = (await provider.sign_in("ben"))["access_token"]

    answers = await asyncio.gather(*(status(app, token) for _ in range(50)))

    assert set(answers) == {200}
    assert (await count(db, "users"), await count(db, "external_identities")) == (1, 1)
    acts = await db.fetch_all(ACTS, {"id": str(await user_id_of(db, "ben@people.example"))})
    assert len(acts) == 2


async def test_one_subject_under_two_addresses_at_once_is_one_user(
    app: AppProcess, provider: OpenIdProvider, db: Database
) -> None:
    tokens = [
        KEY.sign(claims_of(provider.issuer, "carl", email=f"carl{n}@people.example", email_verified=True))
        for n in range(20)
    ]

    answers = await asyncio.gather(*(status(app, token) for token in tokens))

    assert set(answers) == {200}
    assert (await count(db, "users"), await count(db, "external_identities")) == (1, 1)


async def test_the_address_of_somebody_here_is_no_way_in(
    app: AppProcess, provider: OpenIdProvider, db: Database
) -> None:
    """A naive service links by the address, and whoever can name it at the provider is that user here."""
    await make_person(db, email="amy@people.example", role="admin")
    token = (await provider.sign_in("amy"))["access_token"]

    answer = await status(app, token)

    assert answer == 401
    assert (await count(db, "users"), await count(db, "external_identities")) == (1, 0)


async def test_an_address_that_nobody_has_verified_makes_no_user(
    app: AppProcess, provider: OpenIdProvider, db: Database
) -> None:
    unverified = [False, None, "true", 1]
    bad = [
        "amy",
        "amy@",
        "@people.example",
        "a b@people.example",
        "amy@\ud800.example",
        "a" * 250 + "@b.example",
        7,
        None,
    ]
    said = [{"email_verified": each} for each in unverified] + [{"email": each} for each in bad]

    tokens = {str(each): KEY.sign(claims_of(provider.issuer, **each)) for each in said}

    assert await opened_by(app, tokens) == {}
    assert await count(db, "users") == 0
    assert await known(app, provider)


async def test_tokens_of_machines_and_of_strangers_are_good_and_still_nobody_here(
    app: AppProcess, provider: OpenIdProvider, db: Database
) -> None:
    machine = await provider.machine_token()
    unproven = (await provider.sign_in("unproven"))["access_token"]

    answers = [await status(app, machine), await status(app, unproven)]
    reasons = [line["reason"] for line in app.events("external_token_refused")]

    assert answers == [401, 401]
    assert set(reasons) == {"a stranger without a verified address"}  # their signatures are right
    assert await count(db, "users") == 0


async def test_a_machine_that_was_linked_signs_in(app: AppProcess, provider: OpenIdProvider, db: Database) -> None:
    person = await make_person(db)
    await link(db, provider.issuer, CLIENT, person.id)

    answer = await status(app, await provider.machine_token())

    assert answer == 200


async def link(db: Database, issuer: str, subject: str, user_id: Any) -> None:
    await db.execute(
        "INSERT INTO external_identities (issuer, subject, user_id) VALUES (:issuer, :subject, :user)",
        {"issuer": issuer, "subject": subject, "user": user_id},
    )


async def test_who_is_deactivated_is_refused_and_their_socket_closed(
    app_process: StartApp, provider: OpenIdProvider, db: Database
) -> None:
    app = await app_process(*trusting(provider), "websocket.review_interval=0.2")
    token = (await provider.sign_in("ben"))["access_token"]
    before = await status(app, token)

    async with talking(app, headers=bearing(token)) as talk:
        await db.execute("UPDATE users SET is_active = false")
        code, _ = await talk.ended()

    assert (before, await status(app, token)) == (200, 401)
    assert code == 1008
    with pytest.raises(InvalidStatus, match="401"):
        async with talking(app, headers=bearing(token)):
            pass


async def test_new_keys_of_the_provider_work_without_a_restart_and_old_ones_end(
    app_process: StartApp, provider: OpenIdProvider
) -> None:
    app = await app_process(*trusting(provider), "oidc.keys_max_age=1")
    old_token = (await provider.sign_in("ben"))["access_token"]
    with_old_key = await status(app, old_token)

    await provider.stop()
    await provider.start(make_key("two", "ES256"))
    new_token = (await provider.sign_in("ben"))["access_token"]

    async def new_key_works() -> bool:
        return await status(app, new_token) == 200

    async def old_key_is_over() -> bool:
        return await status(app, old_token) == 401

    assert with_old_key == 200
    assert (header(old_token)["kid"], header(new_token)["kid"]) == ("one", "two")
    assert await eventually(new_key_works, within=30)
    assert await eventually(old_key_is_over, within=30)
    assert await status(app, new_token) == 200


def header(token: str) -> dict[str, Any]:
    return jwt.get_unverified_header(token)


async def known(app: AppProcess, provider: OpenIdProvider) -> str:
    """A token that opens, so that what is refused beside it is refused for what it is."""
    token = KEY.sign(claims_of(provider.issuer))
    assert await status(app, token) == 200
    return token


async def opened_by(app: AppProcess, tokens: Mapping[str, str]) -> dict[str, int]:
    """Those of the tokens that were not refused with 401, and what the answer was."""
    answers = {name: await status(app, token) for name, token in tokens.items()}
    return {name: answer for name, answer in answers.items() if answer != 401}


async def test_tokens_for_other_services_and_of_other_clients_are_refused(
    app: AppProcess, provider: OpenIdProvider, db: Database
) -> None:
    person = await make_person(db)
    await link(db, provider.issuer, CLIENT, person.id)
    await link(db, provider.issuer, OTHER_CLIENT, person.id)

    own = await status(app, await provider.machine_token())
    for_another = await status(app, await provider.machine_token(audience="https://other.example"))
    of_another = await status(app, await provider.machine_token(client=OTHER_CLIENT))

    assert (own, for_another, of_another) == (200, 401, 401)
    reasons = [line["reason"] for line in app.events("external_token_refused")]
    assert reasons == ["InvalidAudienceError", "client"]


async def test_id_tokens_and_opaque_tokens_are_refused(app_process: StartApp, provider: OpenIdProvider) -> None:
    """For a service that the provider knows as the client itself, an ID token has the right audience."""
    careless = await app_process(*trusting(provider, audience=CLIENT, client=""))
    both = await provider.sign_in("amy", audience="")
    assert jwt.decode(both["id_token"], options={"verify_signature": False})["aud"] == CLIENT

    by_id_token = await status(careless, both["id_token"])
    by_opaque = await status(careless, both["access_token"])

    assert (by_id_token, by_opaque) == (401, 401)
    reasons = [line["reason"] for line in careless.events("external_token_refused")]
    assert reasons == ["not an access token for bearers"]
    assert both["access_token"].count(".") == 0


ANOTHER_PURPOSE: tuple[dict[str, Any], ...] = (
    *({"exp": 1}, {"exp": None}, {"exp": "soon"}, {"exp": 1e300}, {"exp": 10**400}, {"exp": True}, {"exp": [1]}),
    *({"nbf": 9_000_000_000}, {"iat": 9_000_000_000}, {"iat": "yesterday"}, {"nbf": True}),
    *({"aud": None}, {"aud": "https://other.example"}, {"aud": ["https://other.example", f"{AUDIENCE}/"]}),
    *({"aud": [AUDIENCE, 7]}, {"aud": {AUDIENCE: 1}}),
    *({"client_id": OTHER_CLIENT}, {"client_id": None}, {"client_id": [CLIENT]}, {"azp": OTHER_CLIENT}),
    *({"sub": None}, {"sub": ""}, {"sub": "a" * 256}, {"sub": "null\x00byte"}, {"sub": "half\ud800"}, {"sub": 7}),
    *({"nonce": "once"}, {"at_hash": "x"}, {"events": {}}, {"cnf": {"jkt": "x"}}, {"typ": "ID"}),
)


async def test_what_the_provider_signed_for_another_purpose_is_refused(
    app: AppProcess, provider: OpenIdProvider
) -> None:
    tokens = {str(changes): KEY.sign(claims_of(provider.issuer, **changes)) for changes in ANOTHER_PURPOSE}
    tokens["a slash"] = KEY.sign(claims_of(provider.issuer, iss=f"{provider.issuer}/"))
    tokens["just over"] = KEY.sign(claims_of(provider.issuer, exp=int(time.time())))
    tokens["beyond the leeway"] = KEY.sign(claims_of(provider.issuer, nbf=int(time.time()) + 600))
    for kind in ("logout+jwt", "secevent+jwt", "dpop+jwt", "token-introspection+jwt"):
        tokens[kind] = KEY.sign(claims_of(provider.issuer), typ=kind)
    tokens["extension"] = KEY.sign(claims_of(provider.issuer), crit=["exp"], exp=1)

    await known(app, provider)

    assert await opened_by(app, tokens) == {}


async def test_a_clock_that_is_a_little_ahead_and_several_audiences_are_taken(
    app: AppProcess, provider: OpenIdProvider
) -> None:
    claims = claims_of(provider.issuer)
    ahead = {"iat": claims["iat"] + 15, "nbf": claims["iat"] + 15, "aud": ["https://other.example", AUDIENCE]}

    answer = await status(app, KEY.sign({**claims, **ahead}, typ="JWT"))

    assert answer == 200


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """By RS256, with a header and claims that no library would write."""
    text = f"{encoded(header)}.{encoded(claims)}"
    signature = jwt.get_algorithm_by_name("RS256").sign(text.encode(), key.private)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """With a signature by HMAC, whatever the header says."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def public_pem(key: Key) -> bytes:
    pem: bytes = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


async def test_the_public_key_is_no_secret_to_sign_with(app: AppProcess, provider: OpenIdProvider) -> None:
    """A naive service takes the algorithm from the token, and the provider's public key for the secret of HS256."""
    await known(app, provider)
    claims = claims_of(provider.issuer)
    token = forged({"alg": "HS256", "kid": "one", "typ": "at+jwt"}, claims, public_pem(KEY))
    naively = hmac.compare_digest(
        base64.urlsafe_b64decode(token.rpartition(".")[2] + "="),
        hmac.new(public_pem(KEY), token.rpartition(".")[0].encode(), hashlib.sha256).digest(),
    )

    assert naively
    assert await status(app, token) == 401


ALGORITHMS: tuple[object, ...] = (
    *("none", "None", "nOnE", "", "HS512", "RS384", "ES256", "PS256"),
    *(None, 7, ["RS256"], {}),
)


async def test_no_token_chooses_its_algorithm(app: AppProcess, provider: OpenIdProvider) -> None:
    tokens = {}
    rest = ".".join((await known(app, provider)).split(".")[1:])
    for algorithm in ALGORITHMS:
        named = {"alg": algorithm, "kid": "one", "typ": "at+jwt"}
        tokens[f"{algorithm} unsigned"] = forged(named, claims_of(provider.issuer), b"")
        tokens[f"{algorithm} with the right signature"] = f"{encoded(named)}.{rest}"

    assert await opened_by(app, tokens) == {}


async def test_a_key_may_only_do_what_it_says_of_itself(app: AppProcess, provider: OpenIdProvider) -> None:
    """The right key, and a good signature by another algorithm of RSA."""
    await known(app, provider)
    claims = claims_of(provider.issuer)
    token = jwt.encode(claims, KEY.private, algorithm="PS256", headers={"kid": "one", "typ": "at+jwt"})
    jwt.decode(token, KEY.private.public_key(), algorithms=["RS256", "PS256"], audience=AUDIENCE)  # naively good

    assert await status(app, token) == 401


async def test_nobody_brings_their_own_key(app: AppProcess, provider: OpenIdProvider) -> None:
    """Each names a key that verifies it: one that is at hand, one to be fetched, one of another provider."""
    mine = make_key("mine", "RS256")
    await known(app, provider)
    async with openid_provider(mine) as evil:
        claims = claims_of(provider.issuer)
        tokens = [
            mine.sign(claims),
            mine.sign(claims, kid="one"),
            mine.sign(claims, kid="one", jwk=mine.public_jwk),
            mine.sign(claims, jku=f"{evil.issuer}/jwks"),
            mine.sign(claims, kid="one", x5u=f"{evil.issuer}/jwks"),
            mine.sign(claims, kid=f"{evil.issuer}/jwks"),
            mine.sign(claims_of(evil.issuer)),
            signed(mine, {"alg": "RS256", "kid": "one"}, {**claims, "iss": [provider.issuer, evil.issuer]}),
        ]

        assert await opened_by(app, {token: token for token in tokens}) == {}
        assert evil.asked == []  # nobody even asked it for its keys


async def test_names_of_keys_are_looked_up_and_nothing_else(app: AppProcess, provider: OpenIdProvider) -> None:
    """All of them are signed by the right key."""
    tokens = {}
    await known(app, provider)
    for kid in (None, "", "../../one", "one' OR '1'='1", "one\x00", "o" * 300, 1, ["one"], {"$ne": ""}, "half\ud800"):
        named = {"alg": "RS256", "typ": "at+jwt", "kid": kid}
        tokens[str(kid)] = signed(KEY, named, claims_of(provider.issuer))

    assert await opened_by(app, tokens) == {}


async def test_garbage_is_no_token_of_anybody(app: AppProcess, provider: OpenIdProvider) -> None:
    claims = encoded(claims_of(provider.issuer))
    garbage = [
        *(
            "a.b.c",
            "...",
            "eyJ.eyJ.eyJ",
            "e30.e30.",
            f"e30.{'W' * 6000}.",
            "-._.~",
            "bm9uZQ.bm9uZQ.bm9uZQ",
            "W10.W10.W10",
        ),
        *(f"e30.{claims}.", f"W10.{claims}.x", f".{claims}.", f"e30.{claims}.x.y.z", f"{'W' * 5000}.{claims}.x"),
        f"{encoded({'alg': 'RS256', 'kid': 'one'})}.{claims}.%%%",
    ]

    assert await opened_by(app, {each: each for each in garbage}) == {}


async def test_a_flood_of_made_up_keys_reaches_the_provider_hardly_ever(
    app: AppProcess, provider: OpenIdProvider
) -> None:
    token = await known(app, provider)
    before, began = provider.fetches, time.monotonic()

    for hundred in range(3):
        renamed = [
            f"{encoded({'alg': 'RS256', 'kid': f'made-up-{hundred}-{n}'})}.{'.'.join(token.split('.')[1:])}"
            for n in range(100)
        ]
        answers = await asyncio.gather(*(status(app, each) for each in renamed))
        assert set(answers) == {401}

    took = time.monotonic() - began
    assert provider.fetches - before <= 1 + took / 5  # INTERVAL
    assert await status(app, token) == 200


@pytest.mark.fault
async def test_while_the_provider_is_away_known_keys_work_and_others_are_told_to_come_again(
    app: AppProcess, provider: OpenIdProvider
) -> None:
    token = await known(app, provider)
    unknown = make_key("unknown").sign(claims_of(provider.issuer))
    await provider.stop()
    assert not alive(provider.pid)

    by_known = await status(app, token)

    async def told_to_come_again() -> str:
        answer = await app.http.get(f"{API}/auth/me", headers=bearing(unknown))
        return answer.headers["Retry-After"] if answer.status_code == 503 else ""

    assert by_known == 200
    assert int(await eventually(told_to_come_again, within=30)) >= 1
    assert await status(app, token) == 200


@pytest.mark.fault
async def test_a_service_that_starts_while_the_provider_is_away_serves_and_recovers(
    app_process: StartApp, provider: OpenIdProvider
) -> None:
    token = (await provider.sign_in("ben"))["access_token"]
    await provider.stop()
    app = await app_process(*trusting(provider), "oidc.keys_max_age=1")
    assert not alive(provider.pid)

    answer = await app.http.get(f"{API}/auth/me", headers=bearing(token))
    await provider.start()

    async def opens() -> bool:
        return await status(app, token) == 200

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
    assert await eventually(opens, within=30)


@pytest.mark.fault
@pytest.mark.alone
async def test_a_provider_that_hangs_costs_its_limit_and_no_connection_of_the_pool(
    app_process: StartApp, provider: OpenIdProvider, db: Database
) -> None:
    """With a pool of one connection, a naive service that asks inside a transaction answers nobody meanwhile."""
    overrides = ["oidc.timeout=3", "database.pool_min=1", "database.pool_max=1"]
    app = await app_process(*[each for each in trusting(provider) if "timeout" not in each], *overrides)
    person = await make_person(db)
    login = {"email": person.email, "password": person.password}
    token = KEY.sign(claims_of(provider.issuer))
    loop = asyncio.get_running_loop()

    with stalled(provider.pid):
        began = loop.time()
        held_up = asyncio.create_task(app.http.get(f"{API}/auth/me", headers=bearing(token)))
        signed_in = await app.http.post(f"{API}/auth/login", json=login)
        meanwhile = loop.time() - began
        still_waits = not held_up.done()
        answer = await held_up
        took = loop.time() - began

    assert signed_in.status_code == 200, signed_in.text
    assert still_waits, f"the other request took {meanwhile} s"
    assert answer.status_code == 503
    assert 3 <= took < 6


def test_the_accounts_of_the_provider_claim_more_than_a_user_may() -> None:
    """So that the test of somebody new says something."""
    assert ACCOUNTS["amy"]["role"] == "admin"
