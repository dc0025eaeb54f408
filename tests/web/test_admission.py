"""Who gets a socket, and that every place that was taken is given back, whatever becomes of the handshake."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import psutil
import pytest
from quart import Request, Websocket
from websockets.asyncio.client import connect

from app.core.errors import Unauthorized
from app.core.lifecycle import Phase
from app.core.resources import Resources
from app.feature import Feature
from app.web import Application, Caller
from app.web.admission import Admission, Places, ProcessFull
from tests.features.scrape import scrape
from tests.harness import signed_tokens
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer, cookie, revoke, sign
from tests.harness.waiting import eventually
from tests.web import socket_routes
from tests.web.conftest import Serving
from tests.web.handshakes import Answer, Header, answer_to, handshake, place_of, read_answer, send_handshake
from tests.web.opened import opened

EXPIRED = 1_700_000_000
ADA, ROOT = bearer("ada"), bearer("root", role="admin")


def patient(settings: TestSettings) -> TestSettings:
    """On a busy machine, a handshake that did not wait for Redis would not be counted."""
    return TestSettings(settings.root, {**settings.environ, "APP_REDIS__TIMEOUT": "30"})


def own_page(client: httpx.AsyncClient) -> Header:
    return "Origin", str(client.base_url).rstrip("/")


def admission_of(app: Application) -> Admission:
    assert isinstance(app.admission, Admission)
    return app.admission


def taken(app: Application) -> dict[str, int]:
    found = admission_of(app)
    return dict(found.process.taken + found.addresses.taken + found.users.taken)


async def first_word(answer: Answer) -> str:
    """The text of the first, short, frame."""
    _, length = await answer.reader.readexactly(2)
    return (await answer.reader.readexactly(length)).decode()


@pytest.mark.engines
@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("public", {}, "anybody"),
        ("public", {"Authorization": "Bearer nonsense"}, "anybody"),  # nobody asked for it
        ("user", {}, 401),
        ("user", ADA, "ada"),
        ("user", ROOT, "root"),
        ("admin", {}, 401),
        ("admin", ADA, 403),
        ("admin", ROOT, "root"),
        ("socket", {}, 401),
        ("socket", ADA, "ada"),
        ("socket", bearer("ada", expires=EXPIRED), 401),
        ("socket", bearer("ada", key=b"guessed"), 401),
        ("socket", {"Authorization": "Bearer nonsense"}, 401),
        ("socket", {"Authorization": f"Basic {sign('ada')}"}, 401),
        ("operations", {}, "anybody"),
    ],
)
async def test_a_socket_is_open_to_the_audience_of_its_route(
    settings: TestSettings, serving: Serving, path: str, headers: dict[str, str], expected: str | int
) -> None:
    async with (
        opened(settings(), socket_routes.feature) as app,
        serving(app) as client,
        handshake(place_of(client), f"/sockets/{path}", *headers.items()) as answer,
    ):
        got = await first_word(answer) if answer.status == 101 else answer.status

    assert got == expected


async def test_control_without_admission_anybody_opens_any_socket(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), socket_routes.feature) as app, serving(app) as client:
        app.admission = None
        statuses = [(await answer_to(place_of(client), f"/sockets/{path}")).status for path in ("user", "admin")]

    assert statuses == [101, 101]


@pytest.mark.engines
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (cookie("ada"), "ada"),
        (cookie("ada", expires=EXPIRED), 401),
        (cookie("ada", key=b"guessed"), 401),
        ({"Cookie": f"session={sign('ada')}"}, 401),  # a cookie that a plain HTTP page could have set
    ],
)
async def test_a_browser_of_our_own_pages_is_known_by_its_cookie(
    settings: TestSettings, serving: Serving, headers: dict[str, str], expected: str | int
) -> None:
    async with opened(settings(), socket_routes.feature) as app, serving(app) as client:
        page = own_page(client)
        async with handshake(place_of(client), "/sockets/socket", page, *headers.items()) as answer:
            got = await first_word(answer) if answer.status == 101 else answer.status

    assert got == expected


@pytest.mark.engines
async def test_whoever_has_signed_out_opens_no_socket(settings: TestSettings, serving: Serving, redis_url: str) -> None:
    patient = settings("redis.timeout=5")  # the tests' own authenticator asks Redis who has signed out
    async with opened(patient, socket_routes.feature) as app, serving(app) as client:
        revoke(redis_url, "phone")
        credentials = [make("ada", session=name) for name in ("phone", "desk") for make in (bearer, cookie)]
        handshakes = [(own_page(client), *headers.items()) for headers in credentials]
        answers = [await answer_to(place_of(client), "/sockets/socket", *headers) for headers in handshakes]

    assert [answer.status for answer in answers] == [401, 401, 101, 101]


@pytest.mark.engines
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "anybody"),
        (ADA, "ada"),
        (bearer("ada", expires=EXPIRED), 401),  # whoever shows credentials means them
    ],
)
async def test_where_the_setting_says_so_nobody_need_sign_in(
    settings: TestSettings, serving: Serving, headers: dict[str, str], expected: str | int
) -> None:
    anonymous = settings("websocket.anonymous=true")
    async with opened(anonymous, socket_routes.feature) as app, serving(app) as client:
        async with handshake(place_of(client), "/sockets/socket", *headers.items()) as answer:
            got = await first_word(answer) if answer.status == 101 else answer.status
        others = [(await answer_to(place_of(client), f"/sockets/{path}")).status for path in ("user", "admin")]

    assert got == expected
    assert others == [401, 401]


@pytest.mark.engines
async def test_an_api_key_may_come_in_a_header_of_its_own(settings: TestSettings, serving: Serving) -> None:
    async def by_key(incoming: Request | Websocket, _: Resources) -> Caller | None:
        given = incoming.headers.get("X-API-Key")
        return None if given is None else signed_tokens.verified(given)

    machines = Feature("machines", socket_routes.feature.routes, authenticate=by_key)
    async with opened(settings(), machines) as app, serving(app) as client:
        known = await answer_to(place_of(client), "/sockets/socket", ("X-API-Key", sign("robot")))
        unknown = await answer_to(place_of(client), "/sockets/socket", ("X-API-Key", "guessed"))

    assert (known.status, unknown.status) == (101, 401)


@pytest.mark.engines
async def test_a_refusal_is_the_one_error_body_with_an_id_and_nothing_before_it(
    settings: TestSettings, serving: Serving
) -> None:
    async with opened(settings(), socket_routes.feature) as app, serving(app) as client:
        place = place_of(client)
        reader, writer = await send_handshake(place, "/sockets/socket", ("X-Request-Id", "given-by-client"))
        first = await reader.readuntil(b"\r\n")
        writer.transport.abort()
        answer = await answer_to(place, "/sockets/socket", ("X-Request-Id", "given-by-client"))

    assert first.startswith(b"HTTP/1.1 401 ")
    assert answer.json() == {"error": "Sign in first, or send valid credentials.", "code": "UNAUTHORIZED"}
    assert answer.headers["x-request-id"] == "given-by-client"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.engines
async def test_each_limit_refuses_in_its_own_words(settings: TestSettings, serving: Serving) -> None:
    async def third(*overrides: str) -> tuple[int, str, str, str]:
        few = settings(*overrides)
        async with opened(few, socket_routes.feature) as app, serving(app) as client, AsyncExitStack() as two:
            for _ in range(2):
                inside = handshake(place_of(client), "/sockets/socket", *ADA.items())
                assert (await two.enter_async_context(inside)).status == 101
            answer = await answer_to(place_of(client), "/sockets/socket", *ADA.items())
        return answer.status, answer.code, answer.json()["error"], answer.headers["retry-after"]

    assert await third("websocket.max_connections=2") == (
        503,
        "SERVICE_UNAVAILABLE",
        "There is no room for another socket; please try again shortly.",
        "5",
    )
    assert await third("websocket.max_per_address=2") == (
        429,
        "RATE_LIMITED",
        "Too many sockets are open from this address.",
        "5",
    )
    assert await third("websocket.max_per_user=2") == (
        429,
        "RATE_LIMITED",
        "Too many sockets of this user are open.",
        "5",
    )


@pytest.mark.engines
async def test_users_have_limits_of_their_own_and_strangers_none(settings: TestSettings, serving: Serving) -> None:
    one_each = settings("websocket.max_per_user=1", "websocket.anonymous=true")
    async with opened(one_each, socket_routes.feature) as app, serving(app) as client, AsyncExitStack() as stack:
        statuses = []
        for headers in (ADA, ADA, ROOT, ROOT, {}, {}):
            inside = handshake(place_of(client), "/sockets/socket", *headers.items())
            statuses.append((await stack.enter_async_context(inside)).status)

    assert statuses == [101, 429, 101, 429, 101, 101]


@pytest.mark.engines
async def test_an_address_is_what_one_customer_has(settings: TestSettings, serving: Serving) -> None:
    one_each = settings("websocket.max_per_address=1", "server.trusted_proxies=127.0.0.0/8")
    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"]
    async with opened(one_each, socket_routes.feature) as app, serving(app) as client, AsyncExitStack() as stack:
        statuses = []
        for address in addresses:
            inside = handshake(place_of(client), "/sockets/public", ("X-Forwarded-For", address))
            statuses.append((await stack.enter_async_context(inside)).status)

    assert dict(zip(addresses[3:], statuses[3:], strict=True)) == {
        "2001:db8::1": 101,
        "2001:db8::ffff:2": 429,
        "2001:db8:0:1::1": 101,
    }
    assert statuses[:3] == [101, 101, 429]


@asynccontextmanager
async def gated(app: Application) -> AsyncIterator[tuple[asyncio.Event, list[str]]]:
    """Hold everybody at the question who they are; gives what lets them go on, and who is being asked."""
    release, asked = asyncio.Event(), list[str]()
    inner = admission_of(app).gate

    async def slow(incoming: Websocket, endpoint: object) -> None:
        asked.append(incoming.path)
        await release.wait()
        await inner(incoming, endpoint)  # type: ignore[arg-type]  # handed on as it is

    admission_of(app).gate = slow
    try:
        yield release, asked
    finally:
        release.set()


@pytest.mark.engines
async def test_a_slow_question_who_calls_lets_nobody_past_the_limit(settings: TestSettings, serving: Serving) -> None:
    three = settings("websocket.max_per_address=3")
    async with opened(three, socket_routes.feature) as app, serving(app) as client, gated(app) as (release, asked):
        crowd = [await send_handshake(place_of(client), "/sockets/socket", *ADA.items()) for _ in range(10)]
        answering = [asyncio.create_task(read_answer(*each)) for each in crowd]
        await eventually(lambda: sum(task.done() for task in answering) == 7, within=10)
        asked_meanwhile = len(asked)
        release.set()
        answers = await asyncio.gather(*answering)
        for _, writer in crowd:
            writer.transport.abort()

    assert asked_meanwhile == 3
    assert Counter(answer.status for answer in answers) == {101: 3, 429: 7}


async def raising(*_: object) -> Caller:
    raise RuntimeError("an authenticator that fails")


async def refusing(*_: object) -> Caller:
    raise Unauthorized


Leaving = Callable[[tuple[str, int]], Awaitable[object]]


async def _leave_open(place: tuple[str, int]) -> None:
    """Open one, and close the connection without a word."""
    async with handshake(place, "/sockets/socket", *ADA.items()) as answer:
        assert answer.status == 101


async def _close(place: tuple[str, int]) -> None:
    async with connect(f"ws://{place[0]}:{place[1]}/sockets/socket", proxy=None, additional_headers=ADA) as socket:
        assert await socket.recv() == "ada"


def _asking(path: str, *headers: Header, status: int) -> Leaving:
    async def ask(place: tuple[str, int]) -> None:
        assert (await answer_to(place, path, *headers)).status == status

    return ask


WAYS_OUT: dict[str, Leaving] = {
    "a normal close": _close,
    "a connection that just ends": _leave_open,
    "a handler that comes to its end": _asking("/sockets/leaves", status=101),
    "a handler that fails": _asking("/sockets/fails", status=101),
    "a handler that fails before it accepts": _asking("/sockets/fails-at-once", status=500),
    "a handler that declines": _asking("/sockets/declines/ada", status=404),
    "a foreign origin": _asking("/sockets/socket", *ADA.items(), ("Origin", "https://evil.example"), status=403),
    "no credentials": _asking("/sockets/socket", status=401),
    "the wrong role": _asking("/sockets/admin", *ADA.items(), status=403),
    "a limit of handshakes": _asking("/sockets/limited", *ADA.items(), status=429),
    "too many of one user": _asking("/sockets/socket", *ROOT.items(), status=429),
    "an unknown address": _asking("/sockets/nowhere", status=404),
}


@pytest.mark.engines
@pytest.mark.parametrize("way", WAYS_OUT)
async def test_a_place_is_given_back_on_every_way_out(settings: TestSettings, serving: Serving, way: str) -> None:
    few = patient(settings)("websocket.max_connections=4", "websocket.max_per_user=1")
    async with opened(few, socket_routes.feature) as app, serving(app) as client:
        place = place_of(client)
        async with handshake(place, "/sockets/socket", *ROOT.items()) as root:  # takes the one place of this user
            for _ in range(2):
                await answer_to(place, "/sockets/limited", *ADA.items())
            await eventually(lambda: taken(app) == {"all": 1, "127.0.0.1": 1, "root": 1}, within=10)
            for _ in range(5):  # more often than there are places
                await WAYS_OUT[way](place)
                await eventually(lambda: taken(app) == {"all": 1, "127.0.0.1": 1, "root": 1}, within=10)
            assert root.status == 101
        await eventually(lambda: taken(app) == {}, within=10)


@pytest.mark.engines
@pytest.mark.parametrize(("authenticate", "status"), [(raising, 500), (refusing, 401)])
async def test_an_authenticator_that_fails_keeps_no_place(
    settings: TestSettings, serving: Serving, authenticate: Callable[..., Awaitable[Caller]], status: int
) -> None:
    failing = Feature("failing", socket_routes.feature.routes, authenticate=authenticate)
    async with opened(settings(), failing) as app, serving(app) as client:
        answer = await answer_to(place_of(client), "/sockets/socket")
        left = taken(app)

    assert (answer.status, left) == (status, {})


@pytest.mark.engines
async def test_a_client_that_leaves_while_it_is_asked_keeps_no_place(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), socket_routes.feature) as app, serving(app) as client, gated(app) as (_, asked):
        _, writer = await send_handshake(place_of(client), "/sockets/socket", *ADA.items())
        await eventually(lambda: asked, within=10)
        assert taken(app) == {"all": 1, "127.0.0.1": 1}

        writer.transport.abort()

        await eventually(lambda: taken(app) == {}, within=10)


@pytest.mark.engines
async def test_whoever_is_asked_too_long_is_refused(settings: TestSettings, serving: Serving) -> None:
    hasty = settings("server.request_timeout=0.2")
    async with opened(hasty, socket_routes.feature) as app, serving(app) as client, gated(app):
        answer = await answer_to(place_of(client), "/sockets/socket", *ADA.items())
        left = taken(app)

    assert (answer.status, answer.code, left) == (408, "REQUEST_TIMEOUT", {})


@pytest.mark.engines
async def test_a_handler_that_is_cancelled_gives_its_place_back(settings: TestSettings, serving: Serving) -> None:
    async with (
        opened(settings(), socket_routes.feature) as app,
        serving(app) as client,
        handshake(place_of(client), "/sockets/socket", *ADA.items()),
    ):
        (task,) = app.websockets

        task.cancel()

        await eventually(lambda: taken(app) == {}, within=10)


@pytest.mark.engines
async def test_a_process_that_stops_takes_nobody_in(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), socket_routes.feature) as app, serving(app) as client:
        app.lifecycle.phase = Phase.DRAINING
        answer = await answer_to(place_of(client), "/sockets/socket", *ADA.items())

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "SERVICE_UNAVAILABLE", "1")


@pytest.mark.engines
async def test_handshakes_are_held_to_the_limit_of_their_route(settings: TestSettings, serving: Serving) -> None:
    async with opened(patient(settings)(), socket_routes.feature) as app, serving(app) as client:
        pages = [(await client.get("/sockets/limited")).status_code for _ in range(3)]
        answers = [await answer_to(place_of(client), "/sockets/limited", *ADA.items()) for _ in range(3)]

    assert pages == [200, 200, 429]  # the same address, counted apart
    assert [answer.status for answer in answers] == [101, 101, 429]
    assert answers[2].json() == {"error": "Too many requests; please slow down.", "code": "RATE_LIMITED"}
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
    assert (answers[2].headers["x-ratelimit-limit"], answers[2].headers["x-ratelimit-remaining"]) == ("2", "0")


@pytest.mark.engines
async def test_guessing_credentials_is_held_to_it_too(settings: TestSettings, serving: Serving) -> None:
    async with opened(patient(settings)(), socket_routes.feature) as app, serving(app) as client:
        guess = ("Authorization", "Bearer guessed")
        answers = [await answer_to(place_of(client), "/sockets/limited", guess) for _ in range(3)]

    assert [answer.status for answer in answers] == [401, 401, 429]


@pytest.mark.engines
async def test_without_redis_nobody_counts_and_everybody_passes(settings: TestSettings, serving: Serving) -> None:
    alone = TestSettings(settings.root, {**settings.environ, "APP_REDIS__URL": "redis://127.0.0.1:1/0"})
    async with opened(alone(), socket_routes.feature) as app, serving(app) as client:
        assert app.resources is not None
        assert not app.resources.redis.is_up
        answers = [await answer_to(place_of(client), "/sockets/limited", *ADA.items()) for _ in range(5)]

    assert [answer.status for answer in answers] == [101] * 5


@pytest.mark.engines
@pytest.mark.xdist_group("crowds")
async def test_a_thousand_connections_from_one_address_get_its_places_and_no_more(app_process: StartApp) -> None:
    app = await app_process("websocket.max_per_address=50", module="tests.web.socket_routes", cold=True)
    place = (httpx.URL(app.url).host, httpx.URL(app.url).port or 0)
    process = psutil.Process(app.pid)

    async def crowd() -> Counter[int]:
        async with AsyncExitStack() as stack:
            asking = (stack.enter_async_context(handshake(place, "/sockets/public")) for _ in range(1000))
            return Counter(answer.status for answer in await asyncio.gather(*asking))

    await crowd()  # what is loaded and cached once
    await eventually(lambda: process.num_fds() < 100, within=20)
    files, memory = process.num_fds(), process.memory_info().rss
    statuses = [await crowd() for _ in range(2)]
    await eventually(lambda: process.num_fds() <= files + 2, within=20)

    assert statuses == [{101: 50, 429: 950}] * 2
    assert process.memory_info().rss - memory < 64 * 1024 * 1024
    refused = (await scrape(app)).value("plinth_websocket_refused_total", reason="address")
    assert refused == 3 * 950


def test_places_are_counted_apart_and_forgotten_when_all_have_left() -> None:
    places = Places(1, ProcessFull)

    leave_one, leave_two = places.take("one"), places.take("two")
    with pytest.raises(ProcessFull):
        places.take("one")
    leave_one()
    leave_two()

    assert places.taken == {}
    places.take("one")
