"""Whatever breaks between the effect and the answer: both are there, or neither is, and a repetition ends it well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from quart import Request, Response
from quart.typing import ResponseTypes

from app.core.database import Database
from app.web import Application, Endpoint
from app.web.application import Answering, Around
from app.web.idempotency import Idempotency
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.web import idempotent_routes
from tests.web.conftest import Serving
from tests.web.idempotent_routes import HOLDS, kept, make_tables, paid
from tests.web.opened import opened

KEY = {"Idempotency-Key": "9b2f0c5e"}
ROUTES = "tests.web.idempotent_routes"


@pytest.fixture
async def app(settings: TestSettings, db: Database) -> AsyncIterator[Application]:
    await make_tables(db)
    no_probe_meanwhile = "database.health_interval=300"
    async with opened(settings("database.pool_max=3", no_probe_meanwhile), idempotent_routes.feature) as app:
        yield app


@pytest.fixture
async def client(app: Application, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app) as client:
        yield client


class HeldOnce:
    """Stops the first request after its handler has answered, which is before anything is stored for its key."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Request, endpoint: Endpoint, answer: Answering) -> ResponseTypes:
        async def held() -> ResponseTypes:
            response = await answer()
            if not self.reached.is_set():
                self.reached.set()
                await self.released.wait()
            return response

        return await self.around(request, endpoint, held)


class Naive:
    """What keys are without the transaction: the answer is stored after the handler has committed."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}

    async def __call__(self, request: Request, _: Endpoint, answer: Answering) -> ResponseTypes:
        key = request.headers["Idempotency-Key"]
        if key not in self.answers:
            response = await answer()
            assert isinstance(response, Response)
            self.answers[key] = await response.get_data(as_text=False)
        return Response(self.answers[key], 201)


@pytest.mark.engines
@pytest.mark.parametrize(("around", "effects"), [(Idempotency, 1), (Naive, 2)])
async def test_a_client_that_goes_before_its_answer_is_stored_pays_once(
    app: Application, client: httpx.AsyncClient, db: Database, around: type[Around], effects: int
) -> None:
    held = app.around = HeldOnce(around())
    asking = asyncio.create_task(client.post("/payments", content="rent", headers=KEY))
    await held.reached.wait()

    asking.cancel()
    await eventually(lambda: not app.requests, within=10)
    after_the_cut = await paid(db)
    again = await client.post("/payments", content="rent", headers=KEY)
    last = await client.post("/payments", content="rent", headers=KEY)

    assert after_the_cut == ["rent"] * (effects - 1)  # the naive way has paid, and knows nothing of it
    assert again.status_code == 201
    assert last.content == again.content
    assert await paid(db) == ["rent"] * effects


async def test_a_repetition_meanwhile_is_told_to_come_again(
    app: Application, client: httpx.AsyncClient, db: Database
) -> None:
    held = app.around = HeldOnce(Idempotency())
    asking = asyncio.create_task(client.post("/payments", content="rent", headers=KEY))
    await held.reached.wait()

    meanwhile = await client.post("/payments", content="rent", headers=KEY)
    other_key = await client.post("/payments", content="food", headers={"Idempotency-Key": "another"})
    held.released.set()
    first = await asking
    after = await client.post("/payments", content="rent", headers=KEY)

    assert (meanwhile.status_code, meanwhile.json()["code"], meanwhile.headers["Retry-After"]) == (409, "CONFLICT", "1")
    assert other_key.status_code == first.status_code == after.status_code == 201
    assert after.content == first.content
    assert sorted(await paid(db)) == ["food", "rent"]


async def test_a_commit_that_fails_keeps_nothing(client: httpx.AsyncClient, db: Database) -> None:
    refused = await client.post("/debts", content="ada", headers=KEY)
    after_refusal = (await paid(db), await kept(db))
    await db.execute("INSERT INTO owners (name) VALUES ('ada')")
    done = await client.post("/debts", content="ada", headers=KEY)

    assert (refused.status_code, refused.json()["details"]) == (409, {"constraint": "fk_debts_owner_owners"})
    assert after_refusal == ([], 0)
    assert (done.status_code, done.headers.get("Idempotency-Replayed")) == (200, None)
    assert (await paid(db), await kept(db)) == (["debt"], 1)


async def test_a_request_that_takes_too_long_keeps_nothing_and_frees_its_place(
    app: Application, client: httpx.AsyncClient, db: Database
) -> None:
    assert app.resources is not None

    # More often than the pool has connections: one that was lost each time would be missed.
    answers = [await client.post("/overlong", headers=KEY) for _ in range(4)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(408, "REQUEST_TIMEOUT")] * 4
    assert (await paid(db), await kept(db)) == ([], 0)
    assert app.resources.database.stats().in_use == 0


TERMINATE = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(%' AND pid <> pg_backend_pid()
"""


PAYING = "SELECT count(*) FROM pg_locks WHERE relation = 'payments'::regclass AND mode = 'RowExclusiveLock'"


@pytest.mark.fault
async def test_a_connection_that_dies_keeps_nothing_and_a_repetition_works(
    client: httpx.AsyncClient, db: Database
) -> None:
    async def terminated() -> int:
        count: int = await db.fetch_val(TERMINATE)
        return count

    asking = asyncio.create_task(client.post("/slow?seconds=60", headers=KEY))
    assert await eventually(terminated, within=10) == 1
    cut = await asking
    after_cut = (await paid(db), await kept(db))
    again = await client.post("/slow?seconds=0", headers=KEY)

    assert (cut.status_code, cut.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert after_cut == ([], 0)
    assert again.status_code == 200
    assert (await paid(db), await kept(db)) == (["slow"], 1)


@pytest.mark.engines
@pytest.mark.fault
async def test_a_process_that_is_killed_keeps_nothing_and_the_next_one_does_it(
    app_process: StartApp, db: Database
) -> None:
    await make_tables(db)
    first = await app_process(module=ROUTES, env={HOLDS: "1"})
    asking = asyncio.create_task(first.http.post("/held", headers=KEY))

    async def paying() -> bool:
        return bool(await db.fetch_val(PAYING))

    await eventually(paying, within=10)
    first.kill()
    with suppress(httpx.HTTPError):
        await asking
    second = await app_process(module=ROUTES)

    async def answered() -> httpx.Response | None:
        # PostgreSQL may take a moment to notice that the killed one has gone; until then the key is in use.
        answer = await second.http.post("/held", headers=KEY)
        return None if answer.status_code == 409 else answer

    again = await eventually(answered, within=10)

    assert again is not None
    assert (again.status_code, again.headers.get("Idempotency-Replayed")) == (200, None)
    assert await paid(db) == ["held"]


@pytest.mark.fault
async def test_an_answer_outlives_the_process_that_gave_it(app_process: StartApp, db: Database) -> None:
    await make_tables(db)
    first = await app_process(module=ROUTES)
    given = await first.http.post("/payments", content="rent", headers=KEY)
    first.kill()
    second = await app_process(module=ROUTES)

    again = await second.http.post("/payments", content="rent", headers=KEY)

    assert (again.status_code, again.content) == (201, given.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await paid(db) == ["rent"]
