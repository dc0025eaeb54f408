"""Limits as a client meets them: who is counted together, what every answer says, and a Redis that is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest
from quart import Blueprint
from structlog.testing import capture_logs

from app.core.customers import customer
from app.core.errors import NotFound
from app.core.settings.sections import RateLimit
from app.feature import Feature
from app.web import HOUR, MINUTE, PUBLIC, SECOND, SIGNED_IN, By, Limit, Policy, endpoint
from app.web.rate_limits import RateLimits
from tests.harness import signed_tokens
from tests.harness.fixtures import StartApp
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer
from tests.harness.waiting import eventually, lateness
from tests.web.conftest import Serving
from tests.web.opened import opened

TWO = PUBLIC.but(limits=(Limit(2, HOUR),))


@pytest.fixture
def settings(settings: TestSettings) -> TestSettings:
    """With patience: on a busy machine, a request that did not wait for Redis would not be counted."""
    return TestSettings(settings.root, {**settings.environ, "APP_REDIS__TIMEOUT": "30"})


def limited(policy: Policy) -> Feature:
    """`GET /things/<id>`, which fails for some ids, and `POST /things/<id>`."""
    routes = Blueprint("limited", __name__)

    @routes.get("/things/<name>")
    @endpoint(policy)
    async def read(name: str) -> str:
        if name == "none":
            raise NotFound
        if name == "panic":
            raise RuntimeError
        return name

    @routes.post("/things/<name>")
    @endpoint(policy)
    async def write(name: str) -> str:
        return name

    return Feature("limited", (routes,))


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def told(answer: httpx.Response) -> tuple[str | None, ...]:
    return tuple(answer.headers.get(name) for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "Retry-After"))


async def test_what_is_over_the_limit_is_429_and_says_when(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), limited(TWO)) as app, serving(app) as client:
        answers = [await client.get("/things/a") for _ in range(3)]

    assert statuses(answers) == [200, 200, 429]
    assert [told(answer) for answer in answers[:2]] == [("2", "1", None), ("2", "0", None)]
    assert told(answers[2])[:2] == ("2", "0")
    assert HOUR - 60 <= int(answers[2].headers["Retry-After"]) <= HOUR
    assert answers[2].json() == {"error": "Too many requests; please slow down.", "code": "RATE_LIMITED"}


async def test_errors_say_it_too(settings: TestSettings, serving: Serving) -> None:
    policy = PUBLIC.but(limits=(Limit(10, HOUR),), timeout=5)
    async with opened(settings(), limited(policy)) as app, serving(app) as client:
        answers = [await client.get(f"/things/{name}") for name in ("none", "panic")]

    assert [(answer.status_code, *told(answer)) for answer in answers] == [
        (404, "10", "9", None),
        (500, "10", "8", None),
    ]


async def test_the_tightest_of_several_limits_is_told(settings: TestSettings, serving: Serving) -> None:
    policy = PUBLIC.but(limits=(Limit(5, MINUTE), Limit(3, HOUR, By.ROUTE)))
    async with opened(settings(), limited(policy)) as app, serving(app) as client:
        answers = [await client.get("/things/a") for _ in range(4)]

    assert statuses(answers) == [200, 200, 200, 429]
    assert [told(answer)[:2] for answer in answers] == [("3", "2"), ("3", "1"), ("3", "0"), ("3", "0")]


@pytest.mark.parametrize(
    ("policy", "override"),
    [
        (PUBLIC.but(limits=()), "rate_limit.per_minute=1"),  # says that it has none
        (PUBLIC, "rate_limit.per_minute=0"),  # says nothing, and neither do the settings
        (TWO, "rate_limit.enabled=false"),
    ],
)
async def test_a_route_without_limits_answers_all_and_says_nothing(
    settings: TestSettings, serving: Serving, policy: Policy, override: str
) -> None:
    async with opened(settings(override), limited(policy)) as app, serving(app) as client:
        answers = [await client.get("/things/a") for _ in range(5)]

    assert Counter(statuses(answers)) == {200: 5}
    assert {told(answer) for answer in answers} == {(None, None, None)}


async def test_a_route_that_says_nothing_has_the_limit_of_the_settings(
    settings: TestSettings, serving: Serving
) -> None:
    usual = settings("rate_limit.per_minute=3")
    async with opened(usual, limited(PUBLIC)) as app, serving(app) as client:
        answers = [await client.get("/things/a") for _ in range(4)]

    assert statuses(answers) == [200, 200, 200, 429]


async def test_a_route_is_its_template_and_method(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), limited(TWO)) as app, serving(app) as client:
        reads = [await client.get(f"/things/{name}") for name in "abc"]
        writes = [await client.post(f"/things/{name}") for name in "abc"]

    assert statuses(reads) == statuses(writes) == [200, 200, 429]


async def test_head_is_no_way_around_the_limit_of_get(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), limited(TWO)) as app, serving(app) as client:
        answers = [await client.request(method, "/things/a") for method in ("GET", "HEAD", "HEAD", "GET")]

    assert statuses(answers) == [200, 200, 429, 429]


async def test_a_made_up_address_is_no_way_around_the_limit(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), limited(TWO)) as app, serving(app) as client:
        answers = [await client.get("/things/a", headers={"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(4)]

    assert statuses(answers) == [200, 200, 429, 429]


async def test_nor_is_one_in_front_of_what_the_trusted_proxy_appends(settings: TestSettings, serving: Serving) -> None:
    behind = settings("server.trusted_proxies=127.0.0.0/8")
    async with opened(behind, limited(TWO)) as app, serving(app) as client:
        forged = [
            await client.get("/things/a", headers={"X-Forwarded-For": f"192.0.2.{n}, 198.51.100.7"}) for n in range(3)
        ]
        honest = await client.get("/things/a", headers={"X-Forwarded-For": "198.51.100.8"})

    assert statuses(forged) == [200, 200, 429]
    assert honest.status_code == 200


async def test_one_customer_has_a_whole_ipv6_network(settings: TestSettings, serving: Serving) -> None:
    behind = settings("server.trusted_proxies=127.0.0.0/8")
    async with opened(behind, limited(TWO)) as app, serving(app) as client:
        one = [
            await client.get("/things/a", headers={"X-Forwarded-For": f"2001:db8:0:1:{n}::{n}"}) for n in range(1, 5)
        ]
        neighbour = await client.get("/things/a", headers={"X-Forwarded-For": "2001:db8:0:2::1"})

    assert statuses(one) == [200, 200, 429, 429]
    assert neighbour.status_code == 200


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_customer_is(client: str, counted: str) -> None:
    assert customer(client) == counted


async def test_callers_are_counted_one_by_one(settings: TestSettings, serving: Serving) -> None:
    policy = SIGNED_IN.but(limits=(Limit(2, HOUR, By.CALLER),))
    async with opened(settings(), limited(policy), signed_tokens.feature) as app, serving(app) as client:
        ada = [await client.get("/things/a", headers=bearer("ada")) for _ in range(3)]
        bob = await client.get("/things/a", headers=bearer("bob"))

    assert statuses(ada) == [200, 200, 429]
    assert bob.status_code == 200


async def test_guessing_credentials_has_the_limit_of_the_address(settings: TestSettings, serving: Serving) -> None:
    policy = SIGNED_IN.but(limits=(Limit(2, HOUR, By.CALLER), Limit(2, HOUR, By.ROUTE)))
    async with opened(settings(), limited(policy), signed_tokens.feature) as app, serving(app) as client:
        guesses = [await client.get("/things/a", headers=bearer("ada", key=bytes([n]))) for n in range(3)]
        known = [await client.get("/things/a", headers=bearer("ada")) for _ in range(3)]

    assert [(answer.status_code, *told(answer)[:2]) for answer in guesses] == [
        (401, "2", "1"),
        (401, "2", "0"),
        (429, "2", "0"),
    ]
    # Neither her own limit nor that of the route has been touched.
    assert statuses(known) == [200, 200, 429]


async def test_nobody_is_counted_by_address(settings: TestSettings, serving: Serving) -> None:
    policy = PUBLIC.but(limits=(Limit(2, HOUR, By.CALLER),))
    behind = settings("server.trusted_proxies=127.0.0.0/8")
    async with opened(behind, limited(policy)) as app, serving(app) as client:
        one = [await client.get("/things/a", headers={"X-Forwarded-For": "192.0.2.1"}) for _ in range(3)]
        other = await client.get("/things/a", headers={"X-Forwarded-For": "192.0.2.2"})

    assert statuses(one) == [200, 200, 429]
    assert other.status_code == 200


async def test_a_limit_of_the_route_is_shared_by_all(settings: TestSettings, serving: Serving) -> None:
    policy = PUBLIC.but(limits=(Limit(2, HOUR, By.ROUTE),))
    behind = settings("server.trusted_proxies=127.0.0.0/8")
    async with opened(behind, limited(policy)) as app, serving(app) as client:
        answers = [await client.get("/things/a", headers={"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(3)]

    assert statuses(answers) == [200, 200, 429]


async def test_two_servers_let_through_no_more_than_one(app_process: StartApp) -> None:
    servers = [await app_process(module="tests.web.limited_routes") for _ in range(2)]

    answers = await asyncio.gather(*(server.http.get("/limited") for server in servers for _ in range(30)))

    assert Counter(statuses(answers)) == {200: 20, 429: 40}


class Outcomes:
    """A `RateLimitObserver` that counts."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()

    def decided(self, route: str, outcome: str) -> None:
        self.seen[route, outcome] += 1


async def test_every_decision_is_reported(settings: TestSettings, serving: Serving) -> None:
    outcomes = Outcomes()
    async with opened(settings(), limited(TWO)) as app, serving(app) as client:
        app.gates = [RateLimits(RateLimit(enabled=True, per_minute=0), observer=outcomes)]
        for _ in range(5):
            await client.get("/things/a")

    assert outcomes.seen == {("/things/<name>", "allowed"): 2, ("/things/<name>", "limited"): 3}


def proxied(settings: TestSettings, proxy: Proxy) -> str:
    return f"redis.url={proxy.url(settings().redis.url.reveal())}"


@pytest.mark.fault
@pytest.mark.parametrize("fault", ["cut", "stall"])
async def test_without_redis_all_pass_and_that_is_counted_and_said_once(
    settings: TestSettings, serving: Serving, fault: str
) -> None:
    redis = urlsplit(settings().redis.url.reveal())
    outcomes = Outcomes()
    async with open_proxy(redis.hostname or "", redis.port or 6379) as proxy:
        with capture_logs() as logs:
            usual = settings(proxied(settings, proxy), "redis.timeout=0.5", "redis.health_interval=0.05")
            async with opened(usual, limited(TWO)) as app, serving(app) as client:
                app.gates = [RateLimits(RateLimit(enabled=True, per_minute=0), observer=outcomes)]
                before = [await client.get("/things/a") for _ in range(3)]
                getattr(proxy, fault)()
                during = [await client.get("/things/a") for _ in range(10)]
                proxy.heal()

                async def counted_again() -> bool:
                    return (await client.get("/things/a")).status_code == 429

                await eventually(counted_again, within=20)

    assert statuses(before) == [200, 200, 429]
    assert Counter(statuses(during)) == {200: 10}
    assert {told(answer) for answer in during} == {(None, None, None)}
    assert outcomes.seen["/things/<name>", "unavailable"] >= 10
    lines = [line["event"] for line in logs if line["event"].startswith("rate_limits_")]
    assert lines == ["rate_limits_not_counting", "rate_limits_counting"]


@pytest.mark.alone
@pytest.mark.fault
async def test_a_silent_redis_costs_its_timeout_once_and_then_nothing(settings: TestSettings, serving: Serving) -> None:
    redis = urlsplit(settings().redis.url.reveal())
    async with open_proxy(redis.hostname or "", redis.port or 6379) as proxy:
        usual = settings(proxied(settings, proxy), "redis.timeout=0.3", "redis.health_interval=60")
        async with opened(usual, limited(TWO)) as app, serving(app) as client:
            await client.get("/things/a")
            proxy.stall()
            late = asyncio.create_task(lateness(0.3))
            first = await client.get("/things/a")
            rest = [await client.get("/things/a") for _ in range(10)]
            busy = await late

    assert Counter(statuses([first, *rest])) == {200: 11}
    assert 0.3 <= first.elapsed.total_seconds() < 0.5 + busy  # 0.2 s: what an answer takes anyway, and much more
    assert sum(answer.elapsed.total_seconds() for answer in rest) < 1.5  # of the 3 s that ten times waiting would take


async def test_nothing_is_left_in_redis_after_the_window(settings: TestSettings, serving: Serving) -> None:
    policy = PUBLIC.but(limits=(Limit(1, SECOND), Limit(9, SECOND, By.ROUTE)))
    async with opened(settings(), limited(policy)) as app, serving(app) as client:
        assert app.resources is not None
        redis = app.resources.redis
        await client.get("/things/a")
        kept = await redis.execute("DBSIZE")

        async def empty() -> bool:
            return bool(await redis.execute("DBSIZE") == 0)

        await eventually(empty, within=10)

    assert kept == 2
