"""How often passwords can be tried and mails asked for: whatever the spelling, at once, and without Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis as Client
from structlog.testing import capture_logs

from app.core.lifecycle import Lifecycle
from app.core.rate_limit import Window
from app.core.redis import RedisUnavailable
from app.core.resources import Resources, open_resources
from app.embedded import RedisServer
from app.features.identity import throttle
from app.features.identity.errors import TooManyMails, TooManyTries
from app.features.identity.throttle import HOUR, Alone, account
from tests.harness.clock import FakeClock
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

HERE, THERE = "192.0.2.1", "198.51.100.7"
ADA = "ada@engines.example"
FEW = ("rate_limit.sign_ins_per_account=3", "rate_limit.sign_ins_per_address=7", "rate_limit.mails_per_account=2")
PATIENT = "redis.timeout=30"  # on a busy machine, what did not wait for Redis would be counted elsewhere


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings(*FEW, PATIENT), Lifecycle()) as opened:
        yield opened


async def outcome(trying: Awaitable[None]) -> str:
    try:
        await trying
    except (TooManyTries, TooManyMails) as refused:
        return "held back" if 1 <= (refused.retry_after or 0) <= HOUR else f"told to wait {refused.retry_after} s"
    return "let through"


async def tries(resources: Resources, *emails: str, address: str = HERE) -> list[str]:
    return [await outcome(throttle.try_sign_in(resources, email, address)) for email in emails]


async def passed(resources: Resources, *emails: str, address: str = HERE) -> int:
    return (await tries(resources, *emails, address=address)).count("let through")


async def test_an_account_is_tried_so_often_from_one_address(resources: Resources) -> None:
    assert await tries(resources, *[ADA] * 5) == ["let through"] * 3 + ["held back"] * 2
    # Nobody can lock somebody else out: from elsewhere the owner comes in (ASVS 6.3.1).
    assert await tries(resources, ADA, address=THERE) == ["let through"]


async def test_an_address_tries_so_often_whatever_accounts(resources: Resources) -> None:
    spraying = [f"user{n}@engines.example" for n in range(20)]

    assert await passed(resources, *spraying) == 7
    assert await passed(resources, ADA) == 0


SPELLINGS = [
    "Ada.Lovelace@Engines.example",
    "ADA.LOVELACE@ENGINES.EXAMPLE",
    "adalovelace@engines.example",
    "a.d.a.lovelace@engines.example",
    "ada.lovelace+1@engines.example",
    "ada.lovelace+news+more@engines.example",
    " ada.lovelace@engines.example\t",
    "ada.lovelace@engines.example.",
    "\uff41da.lovelace@engines.example",  # full width
    "ada.lovelace\uff20engines.example",
    "ada.lovelace@engines\u3002example",  # an ideographic full stop, which domains take for a dot
    "ada.love\u200blace@engines.example",  # a space of no width
    "ada.love\u00adlace@engines.example",  # a hyphen that is seen at the end of lines only
]


async def test_no_spelling_of_an_account_is_a_way_around_its_limit(resources: Resources) -> None:
    # Counted by the text itself, each of these would have three tries of its own.
    assert await passed(resources, *SPELLINGS) == 3


def test_spellings_have_an_account_in_common_and_people_do_not() -> None:
    assert len({account(each) for each in SPELLINGS}) == 1
    others = ["ada@engines.example", "ada.lovelace@engine.example", "lovelace@engines.example", "ada.lovelace"]
    assert len({account(each) for each in [SPELLINGS[0], *others]}) == len(others) + 1


@given(
    st.text(max_size=60), st.sampled_from([str.upper, str.lower, str.title, str.swapcase, lambda text: f" {text}\n"])
)
def test_whatever_finds_the_same_user_is_counted_together(email: str, respelled: Callable[[str], str]) -> None:
    """A user is looked for by `strip().lower()`."""
    other = respelled(email)

    if other.strip().lower() == email.strip().lower():
        assert account(other) == account(email)
    assert len(account(email)) == 32


@given(st.characters(exclude_categories=()), st.text(max_size=5))
def test_no_character_is_too_strange_to_be_counted(character: str, rest: str) -> None:
    email = f"{character}{rest}@{character}"
    other = email.upper().lower()

    if other == email.lower():  # a dotless i has a dot when it comes back, and finds another user
        assert account(other) == account(email)
    assert len(account(email)) == 32


async def test_a_hundred_at_once_are_a_hundred(resources: Resources) -> None:
    """A count that is read, compared and only then raised lets them all through."""
    together = (throttle.try_sign_in(resources, ADA, HERE) for _ in range(100))

    outcomes = Counter(await asyncio.gather(*(outcome(each) for each in together)))

    assert outcomes == {"let through": 3, "held back": 97}


async def test_two_instances_count_together(settings: TestSettings, resources: Resources) -> None:
    async with open_resources(settings(*FEW, PATIENT), Lifecycle()) as other:
        both = [await tries(each, ADA) for each in [resources, other] * 3]

    assert Counter(each for (each,) in both) == {"let through": 3, "held back": 3}


async def test_the_right_password_forgets_the_tries_of_the_account(resources: Resources) -> None:
    await tries(resources, ADA, ADA, ADA)

    await throttle.signed_in(resources, "Ada@Engines.example", HERE)

    assert await tries(resources, ADA) == ["let through"]


async def test_an_account_of_ones_own_is_no_way_to_go_on_for_ever(resources: Resources) -> None:
    through = 0
    for _ in range(20):
        through += await passed(resources, ADA)
        through += await passed(resources, "mallory@elsewhere.example")
        await throttle.signed_in(resources, "mallory@elsewhere.example", HERE)

    # Ada's count stays at three, and the address has no more than seven in all.
    assert through == 7


async def test_an_ipv6_network_is_one_address(resources: Resources) -> None:
    addresses = [f"2001:db8:0:1::{n:x}" for n in range(1, 30)]

    outcomes = [await tries(resources, ADA, address=each) for each in addresses]

    assert outcomes.count(["let through"]) == 3
    assert await tries(resources, ADA, address="2001:db8:0:2::1") == ["let through"]


async def test_mails_to_one_address_are_counted_wherever_they_are_asked_for(resources: Resources) -> None:
    asked = [outcome(throttle.try_mail(resources, ADA, f"192.0.2.{n}")) for n in range(5)]

    assert [await each for each in asked] == ["let through"] * 2 + ["held back"] * 3


async def test_one_place_can_t_send_mails_to_everybody(resources: Resources) -> None:
    asked = [outcome(throttle.try_mail(resources, f"user{n}@engines.example", HERE)) for n in range(130)]

    assert Counter([await each for each in asked]) == {"let through": 100, "held back": 30}


async def test_mails_and_sign_ins_are_counted_apart(resources: Resources) -> None:
    await throttle.try_mail(resources, ADA, HERE)
    await throttle.try_mail(resources, ADA, HERE)

    assert await passed(resources, *[ADA] * 5) == 3


async def test_without_rate_limits_nobody_is_counted(settings: TestSettings) -> None:
    async with open_resources(settings(*FEW, PATIENT, "rate_limit.enabled=false"), Lifecycle()) as free:
        assert await passed(free, *[ADA] * 50) == 50
        await throttle.signed_in(free, ADA, HERE)
        assert [await outcome(throttle.try_mail(free, ADA, HERE)) for _ in range(9)] == ["let through"] * 9
        assert await free.redis.execute("DBSIZE") == 0


async def test_redis_holds_no_addresses_of_mail(resources: Resources) -> None:
    await throttle.try_sign_in(resources, ADA, HERE)
    await throttle.try_mail(resources, ADA, HERE)

    keys = b" ".join(await resources.redis.execute("KEYS", "*"))

    assert keys.count(b"limit:") == 4
    assert b"ada" not in keys
    assert b"engines" not in keys


@asynccontextmanager
async def proxied(settings: TestSettings, *overrides: str) -> AsyncIterator[tuple[Resources, Proxy]]:
    redis = urlsplit(settings().redis.url.reveal())
    async with open_proxy(redis.hostname or "", redis.port or 6379) as proxy:
        through = f"redis.url={proxy.url(settings().redis.url.reveal())}"
        async with open_resources(settings(*FEW, through, *overrides), Lifecycle()) as opened:
            yield opened, proxy


async def is_away(resources: Resources) -> bool:
    """The proof that the fault has happened."""
    try:
        await resources.redis.execute("PING")
    except RedisUnavailable:
        return True
    return False


@pytest.mark.fault
@pytest.mark.parametrize("fault", ["cut", "stall"])
async def test_while_redis_is_away_the_limits_hold_and_that_is_said_once(settings: TestSettings, fault: str) -> None:
    with capture_logs() as logs:
        async with proxied(settings, "redis.timeout=0.5", "redis.health_interval=0.05") as (resources, proxy):
            getattr(proxy, fault)()
            assert await is_away(resources)
            # The limits of routes let everybody pass meanwhile; a password could be guessed without end.
            during = await passed(resources, *[ADA] * 20)
            together = await asyncio.gather(
                *(outcome(throttle.try_sign_in(resources, "bob@x.example", THERE)) for _ in range(100))
            )
            await throttle.signed_in(resources, ADA, HERE)
            after_the_right_password = await passed(resources, *[ADA] * 20)
            mails = [await outcome(throttle.try_mail(resources, ADA, HERE)) for _ in range(5)]
            assert await is_away(resources)
            proxy.heal()
            await eventually(lambda: resources.redis.is_up, within=20)
            await eventually(lambda: _counts_in_redis(resources), within=20)

    assert during == 3
    assert together.count("let through") == 3
    assert after_the_right_password == 3
    assert mails.count("let through") == 2
    lines = [line["event"] for line in logs if line["event"].startswith("tries_")]
    assert lines == ["tries_counted_alone", "tries_counted_together"]


async def _counts_in_redis(resources: Resources) -> bool:
    await outcome(throttle.try_sign_in(resources, "carol@x.example", "203.0.113.9"))
    return bool(await resources.redis.execute("DBSIZE"))


@pytest.mark.fault
async def test_the_limits_hold_when_redis_stops(own_settings: TestSettings, own_redis: RedisServer) -> None:
    async with open_resources(own_settings(*FEW, PATIENT, "redis.health_interval=0.05"), Lifecycle()) as resources:
        before = await passed(resources, *[ADA] * 20)
        await own_redis.stop()
        try:
            assert await is_away(resources)
            during = await passed(resources, *[ADA] * 20)
        finally:
            await own_redis.restart()

    # A count of its own begins for each process: once more as many, not as many as one likes.
    assert (before, during) == (3, 3)


@asynccontextmanager
async def operator(server: RedisServer) -> AsyncIterator[Any]:
    """A connection past the app's own, which stops asking."""
    async with Client.from_url(server.url) as client:
        yield client


@pytest.mark.fault
async def test_a_redis_that_takes_no_writes_counts_as_away(own_settings: TestSettings, own_redis: RedisServer) -> None:
    async with open_resources(own_settings(*FEW, PATIENT), Lifecycle()) as resources, operator(own_redis) as redis:
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            role, *_ = await redis.execute_command("ROLE")
            during = await passed(resources, *[ADA] * 20)
            await throttle.signed_in(resources, ADA, HERE)
        finally:
            await redis.execute_command("REPLICAOF", "NO", "ONE")

    assert role == b"slave"
    assert during == 3


def test_alone_the_window_slides_too(clock: FakeClock) -> None:
    alone = Alone(clock)
    window = Window("w", 2, 60)

    first = alone.take([window])
    clock.advance(40)
    second, third = alone.take([window]), alone.take([window])
    clock.advance(20)
    fourth, fifth = alone.take([window]), alone.take([window])

    assert [each.passes for each in (first, second, third, fourth, fifth)] == [True, True, False, True, False]
    assert [each.retry_after for each in (third, fifth)] == [20, 40]


def test_alone_what_is_refused_by_one_window_is_counted_in_none(clock: FakeClock) -> None:
    alone = Alone(clock)
    narrow, wide = Window("narrow", 1, 60), Window("wide", 3, 60)

    outcomes = [alone.take([narrow, wide]).passes for _ in range(10)]
    others = [alone.take([wide]).passes for _ in range(3)]

    assert outcomes == [True] + [False] * 9
    assert others == [True, True, False]


def test_alone_no_more_keys_are_kept_than_there_is_room_for(clock: FakeClock) -> None:
    alone = Alone(clock, most=100)

    for n in range(10_000):
        alone.take([Window(f"account {n}", 3, 60), Window("address", 1_000_000, 60)])

    assert len(alone) == 100
    # What is asked for all the time stays; the oldest go.
    assert not alone.take([Window("address", 10_000, 60)]).passes
