"""A stop whose loop stands still over its deadline: what is cut is told so all the same."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from quart import Blueprint

from app.feature import Feature
from app.server.drain import CLOSE_DEADLINE
from app.web import PUBLIC, endpoint
from tests.effects.starting import serving
from tests.harness.settings import TestSettings

pytestmark = pytest.mark.engines
DEADLINE = 0.2  # seconds for what is running


class Endless:
    """A route that never answers by itself."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        routes = Blueprint("endless", __name__)
        self.feature = Feature("endless", (routes,))

        @routes.get("/endless")
        @endpoint(PUBLIC)
        async def wait() -> str:
            self.arrived.set()
            await asyncio.Event().wait()
            return "never"


async def test_a_loop_that_comes_late_answers_what_it_cuts(settings: TestSettings) -> None:
    endless = Endless()
    loop = asyncio.get_running_loop()
    usual = settings("server.port=0", "server.drain_delay=0", f"server.shutdown_timeout={DEADLINE}")
    async with serving(usual, endless.feature) as served, httpx.AsyncClient(timeout=60) as client:
        asking = asyncio.create_task(client.get(f"{served.url}/endless"))
        await endless.arrived.wait()
        stopped = loop.time()
        served.stop.set()
        # Before the deadline, and until all of the time to take the answer would be over.
        loop.call_later(DEADLINE / 2, time.sleep, DEADLINE + CLOSE_DEADLINE + 0.1)
        answer = await asking
        took = loop.time() - stopped

    assert took > DEADLINE + CLOSE_DEADLINE, "the loop stood still"
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
