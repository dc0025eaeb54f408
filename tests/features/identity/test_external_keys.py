"""The keys of an OpenID provider: how often it is asked, what holds while it is away, and who waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.lifecycle import Lifecycle
from app.core.protected import is_protected
from app.core.resources import open_resources
from app.core.settings.sections import Oidc
from app.features.identity import discovery
from app.features.identity.errors import ProviderAway
from app.features.identity.provider import INTERVAL, Provider
from app.features.identity.service.external import caller_of
from app.features.identity.signing_keys import signing_keys
from tests.features.identity.lying_provider import lying_provider
from tests.features.identity.people import make_person
from tests.harness.clock import FakeClock
from tests.harness.openid import AUDIENCE, OpenIdProvider, claims_of, make_key, openid_provider
from tests.harness.processes import alive, stalled
from tests.harness.settings import TestSettings

MAX_AGE, HOUR = 300.0, 3600.0  # seconds
OLD, NEW = make_key("old"), make_key("new")


def settings_for(issuer: str, *, timeout: float = 30.0) -> Oidc:
    return Oidc(issuer=issuer, audience=AUDIENCE, keys_max_age=MAX_AGE, timeout=timeout)


@pytest.fixture
async def there() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider(OLD) as provider:
        yield provider


@pytest.fixture
async def provider(there: OpenIdProvider, clock: FakeClock) -> AsyncIterator[Provider]:
    made = Provider(settings_for(there.issuer), clock)
    yield made
    await made.close()


async def refusal(provider: Provider, kid: str) -> type[Exception]:
    with pytest.raises((Unauthorized, ProviderAway)) as refused:
        await provider.key(kid)
    return refused.type


@pytest.mark.node
async def test_many_who_come_first_make_one_request(provider: Provider, there: OpenIdProvider) -> None:
    found = await asyncio.gather(*(provider.key("old") for _ in range(100)))

    assert {signing.issuer for signing in found} == {there.issuer}
    assert there.fetches == 1


@pytest.mark.node
async def test_a_flood_of_made_up_keys_is_one_request_in_each_interval(
    provider: Provider, there: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.key("old")

    for tenth in range(10):  # 1,000 in 9 s: a naive one asks 1,000 times more
        answers = await asyncio.gather(*(refusal(provider, f"made-up-{tenth}-{n}") for n in range(100)))
        assert set(answers) == {Unauthorized}
        clock.advance(1.0)

    assert there.fetches == 2  # the first, and one after INTERVAL
    assert INTERVAL < 9 < 2 * INTERVAL


@pytest.mark.node
async def test_keys_are_asked_for_again_at_their_age(
    provider: Provider, there: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.key("old")
    clock.advance(MAX_AGE - 1)
    await provider.key("old")
    before = there.fetches

    clock.advance(2)
    await provider.key("old")

    assert (before, there.fetches) == (1, 2)


@pytest.mark.node
async def test_a_key_that_was_withdrawn_opens_nothing_at_its_age(
    provider: Provider, there: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.key("old")
    await there.stop()
    await there.start(NEW)

    await provider.key("old")  # nobody has asked since
    clock.advance(MAX_AGE)

    assert await refusal(provider, "old") is Unauthorized
    assert (await provider.key("new")).key.key_id == "new"


@pytest.mark.node
@pytest.mark.fault
async def test_keys_in_use_hold_while_the_provider_is_away_but_not_for_ever(
    provider: Provider, there: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.key("old")
    await there.stop()
    assert not alive(there.pid)

    clock.advance(MAX_AGE + HOUR - 1)
    assert (await provider.key("old")).key.key_id == "old"
    assert await refusal(provider, "unknown") is ProviderAway
    clock.advance(1)

    assert await refusal(provider, "old") is ProviderAway


@pytest.mark.node
@pytest.mark.fault
async def test_without_any_keys_nobody_is_told_that_a_token_is_bad(
    provider: Provider, there: OpenIdProvider, clock: FakeClock
) -> None:
    await there.stop()
    assert not alive(there.pid)

    with pytest.raises(ProviderAway) as refused:
        await provider.key("old")
    assert refused.value.retry_after == INTERVAL

    await there.start()
    assert await refusal(provider, "old") is ProviderAway  # not asked again so soon
    clock.advance(INTERVAL)
    assert (await provider.key("old")).key.key_id == "old"


@pytest.mark.node
@pytest.mark.fault
async def test_a_provider_that_hangs_holds_up_whoever_asks_it_and_nobody_else(
    there: OpenIdProvider, clock: FakeClock
) -> None:
    provider = Provider(settings_for(there.issuer, timeout=0.5), clock)
    try:
        await _eventually_has(provider, clock, "old")
        clock.advance(MAX_AGE)

        with stalled(there.pid):
            await provider.key("old")  # waits for the limit, and takes what it has
            clock.advance(INTERVAL)
            asking = asyncio.create_task(refusal(provider, "unknown"))
            await asyncio.sleep(0)  # it asks now
            before = asyncio.get_running_loop().time()
            known = await provider.key("old")
            others = {await refusal(provider, f"made-up-{n}") for n in range(100)}
            held_up = not asking.done()
            told = await asking

        assert known.key.key_id == "old"
        assert others == {ProviderAway}
        assert held_up, f"they waited as long as the one who asks: {asyncio.get_running_loop().time() - before} s"
        assert told is ProviderAway
    finally:
        await provider.close()


async def _eventually_has(provider: Provider, clock: FakeClock, kid: str) -> None:
    """With a limit as short as here, a busy machine may need several tries."""
    for _ in range(20):
        try:
            await provider.key(kid)
        except ProviderAway:
            clock.advance(INTERVAL)
        else:
            return
    pytest.fail("the provider never answered in time")


@pytest.mark.node
async def test_who_leaves_does_not_take_the_request_along(provider: Provider, there: OpenIdProvider) -> None:
    with stalled(there.pid):
        leaving = asyncio.create_task(provider.key("old"))
        staying = asyncio.create_task(provider.key("old"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
    found = await staying

    assert leaving.cancelled()
    assert found.key.key_id == "old"
    assert there.fetches == 1


@pytest.mark.node
@pytest.mark.fault
async def test_closing_does_not_wait_for_a_provider_that_hangs(there: OpenIdProvider, clock: FakeClock) -> None:
    provider = Provider(settings_for(there.issuer), clock)

    with stalled(there.pid):
        asking = asyncio.create_task(refusal(provider, "old"))
        await asyncio.sleep(0)
        began = time.monotonic()
        await provider.close()
        took = time.monotonic() - began

    assert await asking is ProviderAway
    assert took < 15  # of the 30 that it may take to answer


@pytest.mark.parametrize(
    "lie",
    ["another issuer", "redirect", "huge", "endless", "no json", "deep json", "a list", "compressed", "no keys", "500"],
)
async def test_what_is_no_answer_of_a_provider_counts_as_none(lie: str, clock: FakeClock) -> None:
    async with lying_provider(lie, OLD) as (issuer, elsewhere):
        provider = Provider(settings_for(issuer, timeout=5.0), clock)
        try:
            answer = await refusal(provider, "old")
        finally:
            await provider.close()

    assert answer is ProviderAway
    assert elsewhere == []  # nobody followed where it led


async def test_the_provider_of_these_tests_is_believed_when_it_tells_no_lies(clock: FakeClock) -> None:
    async with lying_provider("", OLD) as (issuer, _):
        provider = Provider(settings_for(issuer), clock)
        try:
            found = await provider.key("old")
        finally:
            await provider.close()

    assert found.issuer == issuer


async def test_a_name_with_a_slash_at_its_end_is_kept_as_the_provider_writes_it(clock: FakeClock) -> None:
    async with lying_provider("slash", OLD) as (issuer, _):
        provider = Provider(settings_for(issuer), clock)
        try:
            found = await provider.key("old")
        finally:
            await provider.close()

    assert found.issuer == f"{issuer}/"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://id.example", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://id.example", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.evil.example", False),
        ("file:///etc/passwd", False),
        ("http://[", False),
        ("//id.example", False),
    ],
)
def test_keys_come_over_tls_or_from_this_machine(url: str, safe: bool) -> None:
    assert is_protected(url) is safe


def test_a_set_gives_each_key_one_algorithm_and_leaves_out_what_is_no_key_for_signatures() -> None:
    rsa, elliptic = make_key("rsa", "RS256").public_jwk, make_key("ec").public_jwk
    secret = {"kty": "oct", "kid": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}
    listed = [
        *(rsa, elliptic, secret, {**secret, "kid": "hs", "alg": "HS256"}),
        {**rsa, "kid": "ps", "alg": "PS512"},
        {name: value for name, value in {**rsa, "kid": "unnamed"}.items() if name != "alg"},
        {**rsa, "kid": "for encryption", "use": "enc"},
        {**rsa, "kid": "not to verify", "key_ops": ["sign"]},
        {**rsa, "kid": "mixed", "alg": "ES256"},
        {**rsa, "kid": "symmetric by name", "alg": "HS256"},
        {**elliptic, "kid": "wrong curve", "alg": "ES384"},
        {
            **rsa,
            "kid": "small",
            "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXbo",
        },
        {**make_key("private").jwk},
        {**rsa, "kid": 7},
        {**rsa, "kid": "broken", "n": 1},
        *("text", None, {}),
        {**elliptic, "kid": "rsa"},  # the first of a name is the one
    ]

    found = signing_keys({"keys": listed})

    expected = {"rsa": "RS256", "ec": "ES256", "ps": "PS512", "unnamed": "RS256"}
    assert {kid: key.algorithm_name for kid, key in found.items()} == expected


def test_the_bound_of_an_answer_is_far_above_a_real_one() -> None:
    assert discovery.LARGEST > 64 * 2048


async def test_who_is_known_costs_one_statement(settings: TestSettings, db: Database) -> None:
    person = await make_person(db)
    async with lying_provider("", OLD) as (issuer, _):
        await db.execute(
            "INSERT INTO external_identities (issuer, subject, user_id) VALUES (:issuer, 'amy', :user)",
            {"issuer": issuer, "user": person.id},
        )
        trusting = (f"oidc.issuer={issuer}", f"oidc.audience={AUDIENCE}", "oidc.timeout=30")
        no_probe_meanwhile = "database.health_interval=300"
        async with open_resources(settings(*trusting, no_probe_meanwhile), Lifecycle()) as resources:
            seen = resources.database.observer = Statements()

            caller = await caller_of(resources, OLD.sign(claims_of(issuer)))

    assert (caller.id, caller.credential) == (str(person.id), f"external:{person.id}")
    assert seen.names == ["select_external_user"]


class Statements:
    """Remembers the names of all statements."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def acquired(self, seconds: float) -> None: ...

    def queried(self, name: str, outcome: str, seconds: float) -> None:  # noqa: ARG002  (the observer's own signature)
        self.names.append(name)
