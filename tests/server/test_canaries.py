"""Secrets are everywhere, everything goes wrong, and no log, answer, metric or command tells one of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest
import redis

from app.core.exit_codes import ExitCode
from app.core.settings import PROJECT_ROOT
from app.embedded import PostgresServer, RedisServer
from tests.harness.app_process import AppProcess, launch_app
from tests.harness.background import BackgroundLoop
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings

pytestmark = [pytest.mark.xdist_group("canaries"), pytest.mark.usefixtures("keepers")]

ROUTES = "tests.server.canary_routes"
ON_STOCK_LOGS = "tests.server.canary_routes_on_stock_logs"

DATABASE = "canary-database-01"
REDIS = "canary-redis-02"
BODY = "canary-body-03"

HEADERS = {
    name: f"canary-{name}"
    for name in ("Authorization", "Cookie", "User-Agent", "Referer", "X-Forwarded-For", "Forwarded", "X-Api-Key")
}
SIGN_UP = "/canaries/sign-up/canary-path"
SENT = {"email": "canary", "password": BODY, "age": 7}
JSON = {"Content-Type": "application/json"}

# What is asked, and the status that proves that it went as it was meant to.
MISUSES: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (200, "POST", SIGN_UP, {"json": SENT}),
    (400, "POST", SIGN_UP, {"json": {**SENT, "age": "canary-age"}}),
    (400, "POST", SIGN_UP, {"json": {**SENT, "unknown": "canary-value"}}),
    (400, "POST", SIGN_UP, {"content": json.dumps(SENT)[:-3], "headers": JSON}),
    (400, "POST", SIGN_UP, {"content": json.dumps(SENT).encode() + b"\xff", "headers": JSON}),
    (415, "POST", SIGN_UP, {"content": json.dumps(SENT), "headers": {"Content-Type": "text/canary"}}),
    (405, "DELETE", SIGN_UP, {}),
    (500, "POST", "/canaries/locals", {"json": SENT}),
    (500, "GET", "/canaries/settings", {}),
    (200, "GET", "/canaries/settings-logged", {}),
    (409, "POST", "/canaries/rows/unique", {"json": SENT}),
    (400, "POST", "/canaries/rows/null", {"json": SENT}),
    (500, "POST", "/canaries/rows/unique-wrapped", {"json": SENT}),
    (500, "POST", "/canaries/rows/null-wrapped", {"json": SENT}),
    (408, "POST", "/canaries/slow", {"json": SENT}),
    (200, "GET", "/health", {}),
    (200, "GET", "/health/ready", {}),
    (200, "GET", "/metrics", {}),
)

CLOSES_SOON = "server.keep_alive_timeout=1"  # what is refused in a whole head leaves the connection open

MALFORMED = (
    b"canary-garbage\r\n\r\n",
    b"GET /?canary HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer canary\r\n\r\n",
    b"GET /?canary HTTP/1.1\r\nHost: canary canary\r\n\r\n",
    b"GET http://user:canary@host/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: canary\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\ncanary-chunk\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"canary" * 20_000 + b"\r\n\r\n",
)


@pytest.fixture(scope="module")
def keepers(own_postgres: PostgresServer, own_redis: RedisServer, background: BackgroundLoop) -> None:
    """A role and a user whose passwords are canaries."""
    background.call(_make_role(own_postgres))
    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command("ACL", "SETUSER", "keeper", "on", f">{REDIS}", "~*", "&*", "+@all")


async def _make_role(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.url, ssl=False)
    await connection.execute(f"CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{DATABASE}'")
    await connection.close()


@pytest.fixture
def secretive(own_settings: TestSettings, own_postgres: PostgresServer, own_redis: RedisServer) -> TestSettings:
    environ = {
        **own_settings.environ,
        "APP_DATABASE__URL": f"postgresql://keeper:{DATABASE}@127.0.0.1:{own_postgres.port}/plinth",
        "APP_REDIS__URL": f"redis://keeper:{REDIS}@127.0.0.1:{own_redis.port}/0",
    }
    return replace(own_settings, environ=environ)


async def misuse(app: AppProcess) -> str:
    """Let everything go wrong, and return all that was answered."""
    told = []
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        for status, method, path, options in MISUSES:
            headers = {**HEADERS, **options.get("headers", {})}
            query = {"token": "canary-query"}
            answer = await http.request(method, path, params=query, **{**options, "headers": headers})
            assert (answer.status_code, path) == (status, path)
            told.append(f"{answer.headers}\n{answer.text}")
    port = int(app.url.rpartition(":")[2])
    for request in MALFORMED:
        answered = (await _raw(port, request)).decode("latin1")
        assert " 4" in answered.splitlines()[0]
        told.append(answered)
    return "\n".join(told)


async def _raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def stopped(app: AppProcess) -> str:
    """All that it has logged, from its first line to its last."""
    app.terminate()
    assert await app.wait(within=30) == ExitCode.OK
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in app.logs)


@asynccontextmanager
async def command(settings: TestSettings, *arguments: str) -> AsyncIterator[str]:
    """What `app ...` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **settings.environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    yield out.decode()


def canaries(text: str) -> list[str]:
    """Where a canary stands, with what is around it."""
    parts = text.split("canary")[1:]
    return [f"canary{part[:60]}" for part in parts if not part.startswith("_routes")]


@pytest.mark.engines
@pytest.mark.parametrize("level", ["info", "debug"])
async def test_no_secret_is_told(app_process: StartApp, secretive: TestSettings, level: str) -> None:
    app = await app_process(f"log.level={level}", CLOSES_SOON, settings=secretive, module=ROUTES)

    answered = await misuse(app)
    logged = await stopped(app)

    assert "panic" in logged
    assert "could not be stored" in logged
    assert canaries(answered) == []
    assert canaries(logged) == []


async def test_the_control_stock_logs_tell_all_of_them(app_process: StartApp, secretive: TestSettings) -> None:
    app = await app_process("log.level=debug", CLOSES_SOON, settings=secretive, module=ON_STOCK_LOGS, cold=True)

    answered = await misuse(app)
    logged = await stopped(app)

    assert canaries(answered) == [], "answers do not depend on how is logged"
    assert DATABASE in logged
    assert REDIS in logged
    assert f"(secret)=({BODY}) already exists" in logged
    assert HEADERS["Authorization"] in logged, "a local variable"


@pytest.mark.parametrize("key", ["database.password", "redis.url"])
async def test_a_wrong_secret_is_not_told(secretive: TestSettings, own_redis: RedisServer, key: str) -> None:
    wrong = {
        "database.password": "database.password=canary-wrong-04",
        "redis.url": f"redis.url=redis://keeper:canary-wrong-04@127.0.0.1:{own_redis.port}/0",
    }
    async with launch_app(secretive, wrong[key], "log.level=debug", module=ROUTES) as app:
        if key == "database.password":
            assert await app.wait(within=60) == ExitCode.SERVICE_UNAVAILABLE
            assert app.events("start_failed")
            told = ""
        else:
            await app.listening()
            told = (await app.http.get("/health")).text
            assert app.events("redis_unavailable") or "down" in told or "disconnected" in told
        logged = json.dumps(app.logs)

    assert canaries(told + logged) == []


async def test_the_settings_are_shown_without_their_secrets(secretive: TestSettings) -> None:
    async with command(secretive, "config", "show") as text, command(secretive, "config", "show", "--json") as page:
        assert "database" in text
        assert json.loads(page)
        assert canaries(text + page) == []
