"""A real server while its services restart, stall and die: it tells so in time, answers in time, and heals."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic, time

import asyncpg
import httpx
import pytest

from app.embedded import PostgresServer, RedisServer, Stop, start_postgres
from tests.harness.app_process import AppProcess
from tests.harness.background import BackgroundLoop
from tests.harness.fixtures import StartApp
from tests.harness.ports import reserved_port
from tests.harness.processes import client_backends, kill_family, stalled
from tests.harness.services import PASSWORD
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.xdist_group("outages")]

CLIENTS = 20
NOTICED = 2.0  # seconds from a fault to readiness 503, and from its end to 200: a promise
REQUEST_TIMEOUT = 2.0
# A request that misses its deadline runs into the next limit, which is at 10 s or more in here.
HUNG = 9.0
PATIENCE = 30.0  # for what has no bound of its own; a busy machine starves these clients first


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory, background: BackgroundLoop) -> Iterator[PostgresServer]:
    """Durable, unlike the kit's: what is acknowledged must outlive a crash of the server."""
    folder = tmp_path_factory.mktemp("durable") / "postgres"
    with reserved_port() as port:
        start = start_postgres(folder, port=port, user="plinth", password=PASSWORD, database="plinth")
        server = background.call(start)
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
        "database.acquire_timeout=20",
    )
    await _until_ready(app, 200)
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


async def _until_ready(app: AppProcess, status: int) -> None:
    async def answers() -> bool:
        return (await app.http.get("/health/ready")).status_code == status

    await eventually(answers, within=PATIENCE)


async def _seconds_until_ready(app: AppProcess, status: int, since: float) -> float:
    """How long readiness took to turn, by the server's own clock: it answers with what its probes have just logged."""
    await _until_ready(app, status)
    return await eventually(lambda: _turned(app, status), within=PATIENCE) - since


def _turned(app: AppProcess, status: int) -> float:
    """When the first probe of the database went down, or the last one came up again; 0 before that."""
    turns = [line for line in app.logs if line.get("event") in ("probe_down", "probe_up")]
    last = {line["probe"]: line for line in turns if line["probe"] != "redis"}.values()
    downs = [_logged_at(line) for line in last if line["event"] == "probe_down"]
    if status == 200:
        return 0.0 if downs else max(map(_logged_at, last), default=0.0)
    return min(downs, default=0.0)


def _logged_at(line: dict[str, str]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


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

    await eventually(idle, within=PATIENCE)


async def test_a_restart_of_postgres_is_told_survived_and_healed(
    app: AppProcess, writers: Writers, own_postgres: PostgresServer, background: BackgroundLoop
) -> None:
    running = asyncio.create_task(writers.run())
    await eventually(lambda: writers.statuses[201] >= 100, within=PATIENCE)
    born = own_postgres.pid

    await asyncio.to_thread(background.call, own_postgres.stop(Stop.IMMEDIATE))
    noticed = await _seconds_until_ready(app, 503, since=time())
    live = await app.http.get("/health/live")
    await eventually(lambda: writers.statuses[503] >= CLIENTS, within=PATIENCE)
    await asyncio.to_thread(background.call, own_postgres.start())
    healing = await _seconds_until_ready(app, 200, since=time())
    healed = writers.statuses[201]
    await eventually(lambda: writers.statuses[201] > healed + 100, within=PATIENCE)
    writers.stop()
    await running

    assert own_postgres.pid != born, "the fault happened"
    assert (noticed < NOTICED, healing < NOTICED) == (True, True), (noticed, healing)
    assert live.status_code == 200
    assert writers.slowest < HUNG, "none hung"
    await _assert_ledger(writers, own_postgres)
    await _assert_no_slot_is_lost(app)


async def test_a_killed_backend_costs_a_moment_and_no_write(
    app: AppProcess, writers: Writers, own_postgres: PostgresServer
) -> None:
    running = asyncio.create_task(writers.run())
    await eventually(lambda: writers.statuses[201] >= 100, within=PATIENCE)
    before = client_backends(own_postgres)

    os.kill(before[0], signal.SIGKILL)
    await eventually(lambda: not set(before) & set(client_backends(own_postgres)), within=PATIENCE)
    await _until_ready(app, 200)
    healed = writers.statuses[201]
    await eventually(lambda: writers.statuses[201] > healed + 100, within=PATIENCE)
    writers.stop()
    await running

    assert writers.statuses[503] > 0, "the fault was felt: PostgreSQL ends every backend when one is killed"
    assert writers.slowest < HUNG, "none hung"
    await _assert_ledger(writers, own_postgres)
    await _assert_no_slot_is_lost(app)


@pytest.mark.alone
async def test_a_stopped_postgres_holds_no_request_longer_than_its_deadline(
    app: AppProcess, own_postgres: PostgresServer
) -> None:
    async def timed(path: str) -> tuple[int, float]:
        began = monotonic()
        answer = await app.http.get(path)
        return answer.status_code, monotonic() - began

    with stalled(own_postgres.pid):
        requests = [asyncio.create_task(timed("/test/query")) for _ in range(CLIENTS)]
        unready = asyncio.create_task(_seconds_until_ready(app, 503, since=time()))
        lives = []
        while not all(request.done() for request in requests):
            lives.append(await timed("/health/live"))
        answers = [await request for request in requests]
        noticed = await unready
    healing = await _seconds_until_ready(app, 200, since=time())
    again = await app.http.get("/test/query")

    assert {status for status, _ in answers} <= {408, 503}, "the fault happened: nothing was answered"
    assert (noticed < NOTICED, healing < NOTICED) == (True, True), (noticed, healing)
    assert max(seconds for _, seconds in answers) < REQUEST_TIMEOUT + 1, "a promise"
    assert {status for status, _ in lives} == {200}
    assert max(seconds for _, seconds in lives) < 1
    assert again.status_code == 200
    await _assert_no_slot_is_lost(app)


@pytest.mark.alone
@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_a_lost_redis_adds_at_most_a_tenth_of_a_second(
    app: AppProcess, own_redis: RedisServer, background: BackgroundLoop, fault: str
) -> None:
    async def timed() -> tuple[bool, float]:
        answer = (await app.http.get("/test/redis")).json()
        return answer["redis"], answer["seconds"]

    usual = [await timed() for _ in range(50)]
    async with broken(own_redis, background, fault):
        without = [await timed() for _ in range(50)]
        await eventually(lambda: _says_redis_is_down(app), within=PATIENCE)
    await eventually(lambda: _uses_redis(app), within=PATIENCE)

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
