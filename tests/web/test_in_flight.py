"""A process works on so many requests at a time; the rest is told at once, and probes are always answered."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest
from quart import Blueprint

from app.feature import Feature
from app.features import health
from app.web import PUBLIC, Application, endpoint
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.web.conftest import Serving
from tests.web.opened import opened

pytestmark = pytest.mark.engines

LIMIT = 3


class Slow:
    """A route that answers when it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.began = 0
        routes = Blueprint("slow", __name__)
        self.feature = Feature("slow", (routes,))

        @routes.get("/slow")
        @endpoint(PUBLIC)
        async def answer() -> str:
            self.began += 1
            await self.released.wait()
            return "done"


async def fill(app: Application, client: httpx.AsyncClient, slow: Slow) -> list[asyncio.Task[httpx.Response]]:
    asking = [asyncio.create_task(client.get("/slow")) for _ in range(LIMIT)]
    await eventually(lambda: slow.began == LIMIT, within=10)
    assert len(app.requests) == LIMIT
    return asking


@pytest.fixture
def slow() -> Slow:
    return Slow()


async def test_one_more_is_turned_away_at_once(settings: TestSettings, serving: Serving, slow: Slow) -> None:
    usual = settings(f"server.max_in_flight={LIMIT}")
    async with opened(usual, slow.feature) as app, serving(app) as client:
        asking = await fill(app, client, slow)

        refused = [await client.get("/slow") for _ in range(5)]
        began = slow.began
        slow.released.set()
        answers = [await each for each in asking]

    assert [answer.status_code for answer in refused] == [503] * 5
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert refused[0].json() == {
        "error": "Too many requests are being worked on; please try again shortly.",
        "code": "SERVICE_UNAVAILABLE",
    }
    assert began == LIMIT
    assert [answer.text for answer in answers] == ["done"] * LIMIT


async def test_probes_are_answered_meanwhile(settings: TestSettings, serving: Serving, slow: Slow) -> None:
    usual = settings(f"server.max_in_flight={LIMIT}")
    async with opened(usual, slow.feature, health.feature) as app, serving(app) as client:
        asking = await fill(app, client, slow)

        refused = await client.get("/slow")
        probes = [await client.get(path) for path in ("/health/live", "/health/ready", "/health")]
        slow.released.set()
        await asyncio.gather(*asking)

    assert refused.status_code == 503
    assert [answer.status_code for answer in probes] == [200, 200, 200]


async def test_whoever_comes_after_is_taken_in(settings: TestSettings, serving: Serving, slow: Slow) -> None:
    usual = settings(f"server.max_in_flight={LIMIT}")
    async with opened(usual, slow.feature) as app, serving(app) as client:
        asking = await fill(app, client, slow)
        turned_away = await client.get("/slow")

        asking.pop().cancel()  # a client that goes makes room too
        await eventually(lambda: len(app.requests) == LIMIT - 1, within=10)
        slow.released.set()
        taken_in = await client.get("/slow")
        await asyncio.gather(*asking)

    assert (turned_away.status_code, taken_in.status_code) == (503, 200)
    assert not app.requests


async def test_of_a_crowd_no_more_than_the_limit_begin(settings: TestSettings, serving: Serving, slow: Slow) -> None:
    usual = settings(f"server.max_in_flight={LIMIT}")
    async with opened(usual, slow.feature) as app, serving(app) as client:
        crowd = [asyncio.create_task(client.get("/slow")) for _ in range(40)]
        await eventually(lambda: sum(each.done() for each in crowd) == 40 - LIMIT, within=10)
        slow.released.set()
        answers = await asyncio.gather(*crowd)

    assert Counter(answer.status_code for answer in answers) == {200: LIMIT, 503: 40 - LIMIT}
    assert slow.began == LIMIT
