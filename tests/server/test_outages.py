"""A real server while its services restart, stall and die: it tells so in time, answers in time, and heals."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
import httpx
import pytest

from app.embedded import PostgresServer, RedisServer, Stop, start_postgres
from tests.harness.app_process import AppProcess
from tests.harness.background import BackgroundLoop
from tests.harness.fixtures import StartApp
from tests.harness.processes import client_backends, kill_family, stalled
from tests.harness.services import PASSWORD
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.xdist_group("outages")]

CLIENTS = 20
NOTICED = 2.0  # seconds from a fault to readiness 503, and from its end to 200: what the issue promises
REQUEST_TIMEOUT = 2.0


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory, background: BackgroundLoop) -> Iterator[PostgresServer]:
    """Durable, unlike the kit's: what is acknowledged must outlive a crash of the server."""
    folder = tmp_path_factory.mktemp("durable") / "postgres"
    server = background.call(start_postgres(folder, user="plinth", password=PASSWORD, database="plinth"))
    yield server
    background.call(server.stop())


@pytest.fixture
async def app(app_process: StartApp, own_postgres: PostgresServer, own_redis: RedisServer) -> AppProcess:
    app = await app_process(
        f"database.url={own_postgres.url}",
        "database.sslmode=disable",
        "database.migrate_at_start=true",
        f"redis.url={own_redis.url}",
        f"server.request_timeout={REQUEST_TIMEOUT}",
    )
    await _until_ready(app, 200, within=10)
    return app


@pytest.fixture
async def writers(app: AppProcess) -> Writers:
    await app.http.put("/test/entries")
    return Writers(app.http)


class Writers:
    """Clients that each write one new name after the other, and remember what they were told."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.told: dict[str, int] = {}
        self.slowest = 0.0
        self._stop = asyncio.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._write(client) for client in range(CLIENTS)))

    def stop(self) -> None:
        self._stop.set()

    @property
    def statuses(self) -> Counter[int]:
        return Counter(self.told.values())

    async def _write(self, client: int) -> None:
        turn = 0
        while not self._stop.is_set():
            name, began = f"{os.getpid()}-{id(self)}-{client}-{turn}", monotonic()
            answer = await self.http.post(f"/test/entries/{name}")
            self.told[name] = answer.status_code
            self.slowest = max(self.slowest, monotonic() - began)
            turn += 1


async def _until_ready(app: AppProcess, status: int, *, within: float) -> float:
    """Seconds until readiness answers `status`."""
    began = monotonic()

    async def answers() -> bool:
        return (await app.http.get("/health/ready")).status_code == status

    await eventually(answers, within=within)
    return monotonic() - began


async def _assert_ledger(writers: Writers, postgres: PostgresServer) -> None:
    """What was acknowledged is there; nothing was tried twice behind a client's back."""
    connection = await asyncpg.connect(postgres.url, ssl=False)
    stored = {row["name"] for row in await connection.fetch("SELECT name FROM test_entries")}
    await connection.close()
    acknowledged = {name for name, status in writers.told.items() if status == 201}
    assert acknowledged <= stored
    assert writers.statuses[409] == 0, "a name is sent once, so a conflict would be a second write of ours"
    assert set(writers.statuses) <= {201, 503}


async def _assert_no_slot_is_lost(app: AppProcess) -> None:
    async def idle() -> bool:
        pool = (await app.http.get("/test/inside")).json()["pool"]
        return bool(pool["in_use"] == 0 and pool["waiting"] == 0)

    await eventually(idle, within=5)


async def test_a_restart_of_postgres_is_told_survived_and_healed(
    app: AppProcess, writers: Writers, own_postgres: PostgresServer, background: BackgroundLoop
) -> None:
    running = asyncio.create_task(writers.run())
    await eventually(lambda: writers.statuses[201] >= 100, within=20)
    born = own_postgres.pid

    await asyncio.to_thread(background.call, own_postgres.stop(Stop.IMMEDIATE))
    await _until_ready(app, 503, within=NOTICED)
    live = await app.http.get("/health/live")
    await eventually(lambda: writers.statuses[503] >= CLIENTS, within=10)
    await asyncio.to_thread(background.call, own_postgres.start())
    await _until_ready(app, 200, within=NOTICED)
    healed = writers.statuses[201]
    await eventually(lambda: writers.statuses[201] > healed + 100, within=20)
    writers.stop()
    await running

    assert own_postgres.pid != born, "the fault happened"
    assert live.status_code == 200
    assert writers.slowest < REQUEST_TIMEOUT + 1, "none hung"
    await _assert_ledger(writers, own_postgres)
    await _assert_no_slot_is_lost(app)


async def test_a_killed_backend_costs_a_moment_and_no_write(
    app: AppProcess, writers: Writers, own_postgres: PostgresServer
) -> None:
    running = asyncio.create_task(writers.run())
    await eventually(lambda: writers.statuses[201] >= 100, within=20)
    before = client_backends(own_postgres)

    os.kill(before[0], signal.SIGKILL)
    await eventually(lambda: not set(before) & set(client_backends(own_postgres)), within=10)
    await _until_ready(app, 200, within=10)
    healed = writers.statuses[201]
    await eventually(lambda: writers.statuses[201] > healed + 100, within=20)
    writers.stop()
    await running

    assert writers.statuses[503] > 0, "the fault was felt: PostgreSQL ends every backend when one is killed"
    assert writers.slowest < REQUEST_TIMEOUT + 1, "none hung"
    await _assert_ledger(writers, own_postgres)
    await _assert_no_slot_is_lost(app)


async def test_a_stopped_postgres_holds_no_request_longer_than_its_deadline(
    app: AppProcess, own_postgres: PostgresServer
) -> None:
    async def timed(path: str) -> tuple[int, float]:
        began = monotonic()
        answer = await app.http.get(path)
        return answer.status_code, monotonic() - began

    with stalled(own_postgres.pid):
        requests = [asyncio.create_task(timed("/test/query")) for _ in range(CLIENTS)]
        unready = asyncio.create_task(_until_ready(app, 503, within=NOTICED))
        lives = []
        while not all(request.done() for request in requests):
            lives.append(await timed("/health/live"))
        answers = [await request for request in requests]
        await unready

    await _until_ready(app, 200, within=NOTICED)
    again = await app.http.get("/test/query")

    assert {status for status, _ in answers} <= {408, 503}, "the fault happened: nothing was answered"
    assert max(seconds for _, seconds in answers) < REQUEST_TIMEOUT + 1
    assert {status for status, _ in lives} == {200}
    assert max(seconds for _, seconds in lives) < 1
    assert again.status_code == 200
    await _assert_no_slot_is_lost(app)


@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_a_lost_redis_adds_at_most_a_tenth_of_a_second(
    app: AppProcess, own_redis: RedisServer, background: BackgroundLoop, fault: str
) -> None:
    async def timed() -> tuple[bool, float]:
        began = monotonic()
        answer = await app.http.get("/test/redis")
        return answer.json()["redis"], monotonic() - began

    usual = [await timed() for _ in range(50)]
    async with broken(own_redis, background, fault):
        without = [await timed() for _ in range(50)]
        await eventually(lambda: _says_redis_is_down(app), within=NOTICED)
    await eventually(lambda: _uses_redis(app), within=NOTICED)

    assert {there for there, _ in usual} == {True}
    assert {there for there, _ in without} == {False}, "the fault happened"
    typical = sorted(seconds for _, seconds in usual)[len(usual) // 2]
    assert max(seconds for _, seconds in without) < typical + 0.1


@asynccontextmanager
async def broken(redis: RedisServer, background: BackgroundLoop, fault: str) -> AsyncIterator[None]:
    if fault == "stopped":
        with stalled(redis.pid):
            yield
        return
    kill_family(redis.pid)
    yield
    await asyncio.to_thread(background.call, redis.restart())


async def _says_redis_is_down(app: AppProcess) -> bool:
    ready, health = await app.http.get("/health/ready"), await app.http.get("/health")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert not ready.json()["checks"]["redis"]["ok"]
    return (health.status_code, health.json()["redis"]) == (503, "disconnected")


async def _uses_redis(app: AppProcess) -> bool:
    there: bool = (await app.http.get("/test/redis")).json()["redis"]
    return there
