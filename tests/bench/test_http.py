"""The bench of HTTP without the others: that Plinth's contestants run, and that who does other work is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.core.metrics import Metrics
from bench.http.contestants import Contestant, Place, chosen
from bench.http.limits import uncounted
from bench.http.load import Request, VoidRun, load_of, send
from bench.http.seeds import Seeds, sow
from bench.http.server import serving
from bench.http.verify import Differs, Verification, client_of
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually

PLINTHS = [each for each in chosen("") if each.key.startswith("plinth")]
WITHOUT_LIMIT = [each for each in chosen("all") if each.key == "plinth-unlimited"]

each_plinth = pytest.mark.parametrize("contestant", PLINTHS, ids=lambda each: each.key)
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="there is no wrk (Debian's package of that name)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def seeds(database: asyncpg.Connection) -> Seeds:
    return await sow(database, people=3)


@pytest.fixture
def place(database_url: str, redis_url: str, tmp_path: Path, own_port: int) -> Place:
    return Place(database_url, redis_url, tmp_path, own_port)


@each_plinth
async def test_the_kits_contestants_do_the_work(
    contestant: Contestant, place: Place, database: asyncpg.Connection, seeds: Seeds
) -> None:
    async with serving(contestant, place) as server, client_of(server.url) as client:
        await Verification(client, database, seeds).run()

    assert await database.fetchval("SELECT count(*) FROM items") == (3 + 1) * 20
    assert await database.fetchval("SELECT count(*) FROM outbox") == 0


@each_plinth
async def test_the_kits_contestants_have_their_whole_edge_on(
    contestant: Contestant, place: Place, seeds: Seeds
) -> None:
    async with serving(contestant, place) as server, client_of(server.url) as client:
        answer = await client.get("/items", headers={"Authorization": f"Bearer {seeds.tokens[0]}"})
        counted = [line for line in (await client.get("/metrics")).text.splitlines() if 'route="/items"' in line]
        request_id = answer.headers["X-Request-Id"]
        await eventually(lambda: request_id in server.said(), within=10)

    logged = [json.loads(line) for line in server.said().splitlines() if request_id in line]
    assert [(line["method"], line["route"], line["status"]) for line in logged] == [("GET", "/items", 200)]
    assert counted
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("contestant", [PLINTHS[0], *WITHOUT_LIMIT], ids=lambda each: each.key)
async def test_only_the_contestants_that_say_so_have_a_limit(
    contestant: Contestant, place: Place, seeds: Seeds
) -> None:
    async with serving(contestant, place) as server, client_of(server.url) as client:

        async def limit() -> str | None:
            answer = await client.get("/items", headers={"Authorization": f"Bearer {seeds.tokens[0]}"})
            found: str | None = answer.headers.get("X-RateLimit-Limit")
            return found

        if contestant.limited:  # a Redis that is late on a busy machine counts a later one
            assert await eventually(limit, within=30) == "1000000"
        else:
            assert await limit() is None


async def test_a_contestant_that_writes_in_two_transactions_is_found(
    app_process: StartApp, database: asyncpg.Connection, seeds: Seeds
) -> None:
    app = await app_process(module="tests.bench.torn_items")

    async with client_of(app.url) as client:
        with pytest.raises(Differs, match=r"refused write \(unwanted event\): 1, expected 0"):
            await Verification(client, database, seeds).run()


@pytest.mark.parametrize("change", ["UPDATE api_keys SET expires_at = NULL", "UPDATE users SET is_active = true"])
async def test_a_contestant_that_lets_others_in_is_found(
    app_process: StartApp, database: asyncpg.Connection, seeds: Seeds, change: str
) -> None:
    app = await app_process(module="bench.http.feature")
    await database.execute(change)

    async with client_of(app.url) as client:
        with pytest.raises(Differs, match="200, expected 401"):
            await Verification(client, database, seeds).run()


@needs_wrk
async def test_a_load_is_counted_and_one_that_is_refused_is_void(place: Place, seeds: Seeds, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("".join(f"{token}\n" for token in seeds.tokens))
    bad.write_text(f"{seeds.expired}\n")

    async with serving(PLINTHS[0], place) as server:
        load = await send(server.url, Request("POST", "/items", good), 1)
        with pytest.raises(VoidRun, match="were refused"):
            await send(server.url, Request("GET", "/items", bad), 1)

    assert load.requests > 0
    assert load.p99 >= load.p50 > 0


@pytest.mark.parametrize("fault", ["refused", "broken"])
def test_a_load_with_one_fault_is_void(fault: str) -> None:
    said = {"requests": 1000, "microseconds": 1_000_000, "p50": 900, "p99": 4000, "refused": 0, "broken": 0}

    assert load_of(said).per_second == 1000
    with pytest.raises(VoidRun):
        load_of({**said, fault: 1})


@pytest.mark.parametrize(
    ("outcomes", "share"), [({}, 1.0), ({"allowed": 3}, 0.0), ({"allowed": 3, "unavailable": 1}, 0.25)]
)
def test_requests_that_no_limit_has_counted_are_known(outcomes: dict[str, int], share: float) -> None:
    metrics = Metrics()
    for outcome, times in outcomes.items():
        for _ in range(times):
            metrics.rate_limits.decided("/items", outcome)

    exposition, _ = metrics.exposition("")

    assert uncounted(exposition.decode()) == share


def test_an_unknown_contestant_is_refused() -> None:
    with pytest.raises(SystemExit, match="no contestant plint;"):
        chosen("plinth,plint")
