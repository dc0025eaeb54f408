"""One effect per Idempotency-Key, and one answer, whatever is repeated and however it differs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from app.core.database import Database
from app.web import Application
from app.web.idempotency import SWEPT
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer
from tests.harness.waiting import eventually
from tests.web import idempotent_routes
from tests.web.conftest import Serving
from tests.web.idempotent_routes import kept, make_tables, paid
from tests.web.opened import opened

KEY = {"Idempotency-Key": "9b2f0c5e"}
TEXT = {**KEY, "Content-Type": "text/plain"}


@pytest.fixture
async def app(settings: TestSettings, db: Database) -> AsyncIterator[Application]:
    await make_tables(db)
    no_probe_meanwhile = "database.health_interval=300"
    async with opened(settings("database.pool_max=5", no_probe_meanwhile), idempotent_routes.feature) as app:
        yield app


@pytest.fixture
async def client(app: Application, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app) as client:
        yield client


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_repeated_request_gets_the_same_answer_and_changes_nothing(
    client: httpx.AsyncClient, db: Database, method: str
) -> None:
    first = await client.request(method, "/payments", content="rent", headers=KEY)
    again = await client.request(method, "/payments", content="rent", headers=KEY)

    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    for name in ("Content-Type", "Content-Length", "Location"):
        assert first.headers[name] == again.headers[name]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "X-Moment" in first.headers
    assert "X-Moment" not in again.headers
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
    assert await paid(db) == ["rent"]


async def test_without_a_key_every_request_has_its_effect(client: httpx.AsyncClient, db: Database) -> None:
    for _ in range(2):
        await client.post("/payments", content="rent")

    assert await paid(db) == ["rent", "rent"]
    assert await kept(db) == 0


@pytest.mark.parametrize(
    ("method", "path", "content", "kind"),
    [
        ("POST", "/payments", "another", "text/plain"),
        ("PUT", "/payments", "rent", "text/plain"),
        ("POST", "/payments?again=1", "rent", "text/plain"),
        ("POST", "/%70ayments", "rent", "text/plain"),
        ("POST", "/returned", "rent", "text/plain"),
        ("POST", "/payments", "rent", "application/json"),
    ],
)
async def test_another_request_with_the_same_key_is_422(
    client: httpx.AsyncClient, db: Database, method: str, path: str, content: str, kind: str
) -> None:
    await client.post("/payments", content="rent", headers=TEXT)

    other = await client.request(method, path, content=content, headers={**KEY, "Content-Type": kind})

    assert (other.status_code, other.json()["code"]) == (422, "UNPROCESSABLE")
    assert await paid(db) == ["rent"]


async def test_fifty_at_once_have_one_effect(client: httpx.AsyncClient, db: Database) -> None:
    answers = await asyncio.gather(*(client.post("/payments", content="rent", headers=KEY) for _ in range(50)))
    later = await client.post("/payments", content="rent", headers=KEY)

    seen = Counter((answer.status_code, answer.headers.get("Idempotency-Replayed")) for answer in answers)
    assert seen[201, None] == 1
    assert seen.keys() <= {(201, None), (201, "true"), (409, None)}
    assert {answer.content for answer in [*answers, later] if answer.status_code == 201} == {later.content}
    assert await paid(db) == ["rent"]
    assert await kept(db) == 1


@pytest.mark.parametrize("path", ["/refused", "/cookie", "/large/1"])
async def test_an_answer_that_is_not_kept_has_no_effect_either(
    client: httpx.AsyncClient, db: Database, path: str
) -> None:
    answers = [await client.post(path, headers=KEY) for _ in range(2)]

    expected = (409, "CONFLICT") if path == "/refused" else (500, "INTERNAL_ERROR")
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [expected] * 2
    assert await paid(db) == []
    assert await kept(db) == 0


async def test_an_answer_that_cannot_be_kept_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/cookie", headers=KEY)

    assert answer.json()["error"] == "This address cannot keep its answer for an Idempotency-Key; nothing was changed."
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "status"), [("/returned", 402), ("/stream", 200), ("/nothing", 204), ("/large/0", 200)]
)
async def test_any_answer_is_kept_with_its_effect(
    client: httpx.AsyncClient, db: Database, path: str, status: int
) -> None:
    first = await client.post(path, headers=KEY)
    again = await client.post(path, headers=KEY)

    assert first.status_code == again.status_code == status
    assert first.content == again.content
    assert first.headers["Content-Type"] == again.headers["Content-Type"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(await paid(db)) == 1


async def test_two_callers_may_choose_the_same_key(client: httpx.AsyncClient, db: Database) -> None:
    answers = {
        caller: [await client.post("/mine", headers={**KEY, **bearer(caller)}) for _ in range(2)]
        for caller in ("ada", "bob")
    }

    assert {caller: {answer.json()["payment"] for answer in each} for caller, each in answers.items()} == {
        "ada": {1},
        "bob": {2},
    }
    assert await paid(db) == ["mine", "mine"]


@pytest.mark.parametrize("key", ["", "two words", "k" * 256, "tab\there", "schl\u00fcssel"])
async def test_a_key_that_is_none_is_400(client: httpx.AsyncClient, db: Database, key: str) -> None:
    answer = await client.post("/payments", headers=[(b"Idempotency-Key", key.encode())])

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert await paid(db) == []


@pytest.mark.parametrize("key", ["k", "k" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "!~"])
async def test_any_visible_characters_are_a_key(client: httpx.AsyncClient, db: Database, key: str) -> None:
    answers = [await client.post("/payments", content="rent", headers={"Idempotency-Key": key}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert await paid(db) == ["rent"]


async def test_two_keys_in_one_request_are_400(client: httpx.AsyncClient, db: Database) -> None:
    answer = await client.post("/payments", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])

    assert answer.status_code == 400
    assert await paid(db) == []


async def test_a_route_that_takes_no_key_says_so(client: httpx.AsyncClient, db: Database) -> None:
    with_key = await client.post("/keyless", headers=KEY)
    without = await client.post("/keyless")

    assert (with_key.status_code, with_key.json()) == (
        400,
        {"error": "This address takes no Idempotency-Key; send the request without it.", "code": "BAD_REQUEST"},
    )
    assert without.status_code == 200
    assert await paid(db) == ["keyless"]


async def test_a_safe_method_ignores_the_key(client: httpx.AsyncClient, db: Database) -> None:
    answers = [await client.get("/payments", headers=KEY) for _ in range(2)]

    assert [answer.json() for answer in answers] == [{"paid": []}, {"paid": []}]
    assert "Idempotency-Replayed" not in answers[1].headers
    assert await kept(db) == 0


async def test_a_key_stands_for_a_day(client: httpx.AsyncClient, db: Database) -> None:
    await client.post("/payments", content="rent", headers=KEY)
    left = await db.fetch_val("SELECT extract(epoch FROM expires_at - created_at)::int FROM idempotency_keys")
    await db.execute("UPDATE idempotency_keys SET expires_at = now()")

    after = await client.post("/payments", content="another", headers=KEY)
    again = await client.post("/payments", content="another", headers=KEY)

    assert left == 24 * 3600
    assert (after.status_code, again.content) == (201, after.content)
    assert await paid(db) == ["rent", "another"]
    assert await kept(db) == 1


async def test_each_new_key_sweeps_some_that_are_over(client: httpx.AsyncClient, db: Database) -> None:
    await db.execute("""
        INSERT INTO idempotency_keys (scope, key, fingerprint, status, headers, body, expires_at)
        SELECT 'anonymous', 'old-' || n, sha256('r'), 200, '[]', '', now() - n * interval '1 second'
        FROM generate_series(1, 12) AS n
    """)

    left = []
    for key in ("a", "b", "c"):
        await client.post("/payments", headers={"Idempotency-Key": key})
        left.append(await db.fetch_val("SELECT count(*) FROM idempotency_keys WHERE key LIKE 'old-%'"))

    assert left == [12 - SWEPT, 12 - 2 * SWEPT, 0]
    assert await kept(db) == 3


async def test_keys_that_are_over_and_used_again_do_not_block_each_other(
    client: httpx.AsyncClient, db: Database
) -> None:
    for _ in range(5):
        await db.execute("UPDATE idempotency_keys SET expires_at = now()")
        answers = await asyncio.gather(
            *(client.post("/payments", headers={"Idempotency-Key": f"key-{number}"}) for number in range(20))
        )
        assert Counter(answer.status_code for answer in answers) == {201: 20}

    assert len(await paid(db)) == 100


@pytest.mark.engines
async def test_a_body_that_trickles_in_holds_no_connection(
    app: Application, client: httpx.AsyncClient, db: Database
) -> None:
    rest = asyncio.Event()
    assert app.resources is not None
    pool = app.resources.database

    async def body() -> AsyncIterator[bytes]:
        yield b"re"
        await rest.wait()
        yield b"nt"

    asking = asyncio.create_task(client.post("/payments", content=body(), headers=KEY))
    await eventually(lambda: app.requests, within=10)
    meanwhile = pool.stats().in_use
    rest.set()
    answer = await asking

    assert meanwhile == 0
    assert answer.status_code == 201
    assert await paid(db) == ["rent"]


class Queries:
    """A `DatabaseObserver` that knows the names of what ran."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def queried(self, name: str, outcome: str, seconds: float) -> None:
        assert outcome == "ok", (name, seconds)
        self.names.append(name)

    def acquired(self, seconds: float) -> None:
        assert seconds >= 0


async def test_a_key_costs_four_queries_and_a_replay_none_of_the_handlers(
    app: Application, client: httpx.AsyncClient
) -> None:
    assert app.resources is not None
    queries = app.resources.database.observer = Queries()
    await client.post("/payments", headers=KEY)
    first, queries.names = queries.names, []
    await client.post("/payments", headers=KEY)

    of_handler = ["savepoint", "textclause", "release"]
    assert first == [
        "begin",
        "lock_idempotency_key",
        "select_idempotency_key",
        *of_handler,
        "insert_idempotency_key",
        "commit",
    ]
    assert queries.names == ["begin", "lock_idempotency_key", "select_idempotency_key", "commit"]
