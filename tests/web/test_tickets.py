"""Tickets: one opens one socket, for whom it was given to, and is worth nothing to whoever finds it later."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from redis import ConnectionError as NoConnection
from redis import Redis as Client
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.core.callers import Caller
from app.core.errors import Unauthorized
from app.core.redis import Redis
from app.embedded import RedisServer
from app.feature import Feature
from app.features.realtime import tickets
from app.web.tickets import issue_ticket, redeem_ticket
from tests.harness import signed_tokens
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer, cookie, revoke, sign
from tests.harness.waiting import eventually
from tests.web import socket_routes
from tests.web.conftest import Serving
from tests.web.handshakes import Answer, Header, answer_to, handshake, place_of, send_handshake
from tests.web.opened import opened

pytestmark = pytest.mark.engines

ADDRESS = "/api/v1/realtime/tickets"
OPENING = "/sockets/socket?ticket="

# As in the application, which adds the rest of realtime.
feature = Feature("tested", (tickets.blueprint, *socket_routes.feature.routes), authenticate=signed_tokens.authenticate)
reviewed = Feature("reviewer", review=signed_tokens.review)


@pytest.fixture
def settings(settings: TestSettings) -> TestSettings:
    """With patience: on a busy machine, Redis would seem to be down."""
    return TestSettings(settings.root, {**settings.environ, "APP_REDIS__TIMEOUT": "30"})


async def ticket_of(client: httpx.AsyncClient, caller: str = "ada", **claims: Any) -> str:
    answer = await client.post(ADDRESS, headers=bearer(caller, **claims))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ticket"])


async def greeting(answer: Answer) -> str:
    _, length = await answer.reader.readexactly(2)
    return (await answer.reader.readexactly(length)).decode()


async def test_a_ticket_is_given_to_whoever_has_signed_in(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings("websocket.ticket_lifetime=20"), feature) as app, serving(app) as client:
        known = await client.post(ADDRESS, headers=bearer("ada"))
        again = await client.post(ADDRESS, headers=bearer("ada"))
        unknown = await client.post(ADDRESS)

    assert (known.status_code, known.headers["cache-control"]) == (201, "no-store")
    assert known.json().keys() == {"ticket", "expires_in"}
    assert known.json()["expires_in"] == 20
    assert len(known.json()["ticket"]) == 43  # 256 bits
    assert known.json()["ticket"] != again.json()["ticket"]
    assert (unknown.status_code, unknown.json()["code"]) == (401, "UNAUTHORIZED")


async def test_a_ticket_opens_one_socket_for_its_holder(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        ticket = await ticket_of(client)
        async with handshake(place_of(client), OPENING + ticket) as first:
            name = await greeting(first)
        second = await answer_to(place_of(client), OPENING + ticket)

    assert (first.status, name) == (101, "ada")
    assert (second.status, second.code) == (401, "UNAUTHORIZED")


async def test_of_fifty_handshakes_at_once_exactly_one_gets_in(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client, AsyncExitStack() as stack:
        ticket = await ticket_of(client)
        crowd = [handshake(place_of(client), OPENING + ticket) for _ in range(50)]
        answers = await asyncio.gather(*map(stack.enter_async_context, crowd))

    assert Counter(answer.status for answer in answers) == {101: 1, 401: 49}


async def test_a_ticket_ends_with_its_lifetime(settings: TestSettings, serving: Serving, redis_url: str) -> None:
    async with opened(settings("websocket.ticket_lifetime=1"), feature) as app, serving(app) as client:
        ticket = await ticket_of(client)
        with Client.from_url(redis_url) as redis:
            (key,) = redis.keys("realtime:ticket:*")
            left = redis.pttl(key)
            await eventually(lambda: not redis.exists(key), within=5)
        answer = await answer_to(place_of(client), OPENING + ticket)

    assert 0 < left <= 1000
    assert answer.status == 401


def tampered(ticket: str) -> dict[str, str]:
    other = "B" if ticket[0] == "A" else "A"
    return {
        "its first letter changed": other + ticket[1:],
        "its last letter changed": ticket[:-1] + ("w" if ticket[-1] == "o" else "o"),
        "cut": ticket[:-1],
        "longer": ticket + "A",
        "empty": "",
        "of another case": ticket.swapcase(),
        "a line behind it": ticket + "%0a",
        "a zero byte": ticket + "%00",
        "a wildcard": "*",
        "very long": "a" * 7000,
        "two of them": f"{ticket}&ticket={ticket}",
        "one and an empty one": f"{ticket}&ticket=",
        "its own key": "realtime:ticket:" + "0" * 64,
    }


async def test_whatever_is_no_ticket_is_401_and_uses_none_up(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        ticket = await ticket_of(client)
        place = place_of(client)
        answers = {name: (await answer_to(place, OPENING + bad)).status for name, bad in tampered(ticket).items()}
        real = await answer_to(place, OPENING + ticket)

    assert answers == dict.fromkeys(answers, 401)
    assert real.status == 101


@pytest.mark.parametrize("headers", [bearer("bob"), cookie("bob")])
async def test_a_bad_ticket_is_not_mended_by_other_credentials(
    settings: TestSettings, serving: Serving, headers: dict[str, str]
) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        page: Header = ("Origin", str(client.base_url).rstrip("/"))
        bad = await answer_to(place_of(client), OPENING + "A" * 43, page, *headers.items())
        ticket = await ticket_of(client)
        async with handshake(place_of(client), OPENING + ticket, page, *headers.items()) as good:
            name = await greeting(good)

    assert bad.status == 401
    assert name == "ada"  # the ticket's holder, whose page it is


async def test_a_ticket_of_somebody_who_has_signed_out_since_is_refused(
    settings: TestSettings, serving: Serving, redis_url: str
) -> None:
    async with opened(settings(), feature, reviewed) as app, serving(app) as client:
        out = await ticket_of(client, session="phone")
        still_in = await ticket_of(client, session="desk")

        revoke(redis_url, "phone")

        answers = [await answer_to(place_of(client), OPENING + ticket) for ticket in (out, still_in)]

    assert [answer.status for answer in answers] == [401, 101]


async def test_a_ticket_ends_with_the_credentials_it_was_given_for(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        soon = datetime.now(UTC).timestamp() + 2
        ticket = await ticket_of(client, expires=soon)
        await eventually(lambda: datetime.now(UTC).timestamp() > soon, within=5)
        answer = await answer_to(place_of(client), OPENING + ticket)

    assert answer.status == 401


async def test_a_ticket_is_held_to_the_role_and_the_origin_too(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        place = place_of(client)
        as_user = await answer_to(place, f"/sockets/admin?ticket={await ticket_of(client)}")
        root = await ticket_of(client, "root", role="admin")
        evil = await answer_to(place, f"/sockets/admin?ticket={root}", ("Origin", "https://evil.example"))
        as_admin = await answer_to(place, f"/sockets/admin?ticket={root}")

    assert (as_user.status, evil.status, as_admin.status) == (403, 403, 101)


async def test_http_takes_no_tickets(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        answer = await client.post(ADDRESS, params={"ticket": await ticket_of(client)})

    assert answer.status_code == 401


async def test_redis_holds_neither_tickets_nor_credentials(
    settings: TestSettings, serving: Serving, redis_url: str
) -> None:
    async with opened(settings(), feature) as app, serving(app) as client:
        ticket = await ticket_of(client)

    with Client.from_url(redis_url) as redis:
        keys = list(redis.scan_iter("*"))
        stored = b" ".join(keys + [redis.get(key) or b"" for key in keys if key.startswith(b"realtime:")])
    assert b"realtime:ticket:" in stored
    assert ticket.encode() not in stored
    assert sign("ada").encode() not in stored


async def test_a_caller_comes_out_of_a_ticket_as_it_went_in(settings: TestSettings) -> None:
    whole = Caller("ada", "admin", frozenset({"read", "write"}), "session:1", datetime(2100, 1, 1, 12, 30, 1, 5, UTC))
    plain, powerless = Caller("bob"), Caller("eve", permissions=frozenset())  # None is a person, and may do all
    async with opened(settings(), feature) as app:
        assert app.resources is not None
        redis: Redis = app.resources.redis
        back = [
            await redeem_ticket(redis, await issue_ticket(redis, each, lifetime=30))
            for each in (whole, plain, powerless)
        ]
        with pytest.raises(Unauthorized):
            await redeem_ticket(redis, "A" * 43)

    assert back == [whole, plain, powerless]


@pytest.mark.fault
async def test_without_redis_there_are_no_tickets_and_503_says_so(
    own_settings: TestSettings, serving: Serving, own_redis: RedisServer
) -> None:
    patient = TestSettings(own_settings.root, {**own_settings.environ, "APP_REDIS__TIMEOUT": "5"})
    async with opened(patient(), feature) as app, serving(app) as client:
        ticket = await ticket_of(client)
        await own_redis.stop()
        with Client.from_url(own_redis.url) as redis, pytest.raises(NoConnection):
            redis.ping()

        issued = await client.post(ADDRESS, headers=bearer("ada"))
        redeemed = await answer_to(place_of(client), OPENING + ticket)
        token = await answer_to(place_of(client), "/sockets/socket", *bearer("ada").items())
        await own_redis.restart()

    assert (issued.status_code, issued.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert (redeemed.status, redeemed.code, redeemed.headers["retry-after"]) == (503, "SERVICE_UNAVAILABLE", "1")
    assert token.status == 101  # others need none


async def test_no_line_of_the_log_holds_a_ticket(app_process: StartApp, settings: TestSettings) -> None:
    app = await app_process("log.level=debug", module="tests.web.ticket_routes", settings=settings)
    place = (httpx.URL(app.url).host, httpx.URL(app.url).port or 0)
    given = []
    for path, status in {"socket": 101, "admin": 403, "fails": 101, "fails-at-once": 500, "nowhere": 404}.items():
        given.append(await ticket_of(app.http))
        answer = await answer_to(place, f"/sockets/{path}?ticket={given[-1]}")
        assert answer.status == status
    assert (await answer_to(place, f"/sockets/socket?ticket={given[0]}")).status == 401
    given.append("a" * 43)
    assert (await answer_to(place, f"/sockets/user?ticket={given[-1]}")).status == 401
    assert (await answer_to(place, f"/sockets/user?ticket={'a' * 9000}")).status == 414
    _, writer = await send_handshake(place, f"/sockets/user?ticket={given[0]}\x01")
    writer.close()
    app.terminate()
    await app.wait(within=20)

    text = json.dumps(app.logs)
    assert len(app.events("websocket_refused")) >= 6
    assert app.events("websocket_failed")
    assert app.events("panic")
    assert "ada" in [line.get("caller") for line in app.events("websocket_opened")]
    assert [ticket for ticket in given if ticket in text] == []


async def test_a_ticket_of_one_process_opens_the_socket_of_another(
    app_process: StartApp, settings: TestSettings
) -> None:
    one, two = [await app_process(module="tests.web.ticket_routes", settings=settings) for _ in range(2)]
    address = two.url.replace("http", "ws") + "/ws?ticket="

    async with connect(address + await ticket_of(one.http), proxy=None) as socket:
        welcome = json.loads(await socket.recv())
    ticket = await ticket_of(one.http, session="phone")
    revoke(settings.environ["APP_REDIS__URL"], "phone")
    with pytest.raises(InvalidStatus) as refused:
        await connect(address + ticket, proxy=None)

    assert (welcome["type"], welcome["user_id"]) == ("welcome", "ada")
    assert refused.value.response.status_code == 401
