"""A route's own time limit: one 408, a handler that has ended, and everything it held given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from quart import Blueprint

from app.feature import Feature
from app.web import PUBLIC, Application, endpoint, resources
from tests.harness.settings import TestSettings
from tests.web.conftest import Serving
from tests.web.opened import opened

pytestmark = pytest.mark.engines

POOL = 2


class Overlong:
    """Routes that never end by themselves; `ended` counts those that were made to."""

    def __init__(self) -> None:
        self.ended = 0
        routes = Blueprint("overlong", __name__)
        self.feature = Feature("overlong", (routes,))

        @routes.post("/waits")
        @endpoint(PUBLIC.but(timeout=0.2))
        async def wait() -> str:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended += 1
            return "never"

        @routes.post("/queries")
        @endpoint(PUBLIC.but(timeout=0.2))
        async def query() -> str:
            db = resources().database
            try:
                async with db.transaction():
                    await db.execute("INSERT INTO tasks (task_type) VALUES ('overlong')")
                    await db.execute("SELECT pg_sleep(60)")
            finally:
                self.ended += 1
            return "never"

        @routes.post("/patient")
        @endpoint(PUBLIC.but(timeout=60))
        async def outlast() -> str:
            await asyncio.sleep(0.3)  # longer than any route may that does not say so
            return "done"


@pytest.fixture
def overlong() -> Overlong:
    return Overlong()


@pytest.fixture
async def app(settings: TestSettings, overlong: Overlong) -> AsyncIterator[Application]:
    no_probe_meanwhile = "database.health_interval=300"
    few = (f"database.pool_max={POOL}", "database.pool_min=1")
    usual = settings(*few, "server.request_timeout=0.1", no_probe_meanwhile)
    async with opened(usual, overlong.feature) as app:
        yield app


@pytest.fixture
async def client(app: Application, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/waits", "/queries"])
async def test_an_overlong_handler_is_ended_and_answered_once(
    app: Application, client: httpx.AsyncClient, overlong: Overlong, path: str
) -> None:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)

    writer.write(f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    # Whatever else came on this connection would stand before the answer to this.
    writer.write(b"POST /patient HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    rest = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert head.startswith(b"HTTP/1.1 408 ")
    assert (head + rest).count(b"HTTP/1.1 ") == 2
    assert rest.partition(b"HTTP/1.1 ")[2].startswith(b"200 ")
    assert overlong.ended == 1
    assert not app.requests


async def test_its_connection_comes_back_and_its_transaction_is_undone(
    app: Application, client: httpx.AsyncClient, overlong: Overlong
) -> None:
    assert app.resources is not None
    db = app.resources.database

    answers = [await client.post("/queries") for _ in range(2 * POOL)]
    left = await db.fetch_val("SELECT count(*) FROM tasks")

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(408, "REQUEST_TIMEOUT")] * 2 * POOL
    assert overlong.ended == 2 * POOL
    assert left == 0
    assert db.stats().in_use == 0


async def test_a_route_may_take_longer_than_others(client: httpx.AsyncClient) -> None:
    answer = await client.post("/patient")

    assert (answer.status_code, answer.text) == (200, "done")
