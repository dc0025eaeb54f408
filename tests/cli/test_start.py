"""What a start leaves undone: `app serve` and `app worker`, as they are typed, import what they need and nothing else.

Time is measured elsewhere (bench/); what is held here is what the time and the memory were gained with.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.core.settings import PROJECT_ROOT
from tests.cli.test_worker import WITHIN, Typed, typed
from tests.harness.ports import reserved_port
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

# Each with the reason why it can wait; the times are of a quiet machine.
LATER = {
    "alembic": "0.1 s and 15 MB, for a revision that is to be applied",
    "sqlalchemy.ext.asyncio": "Alembic's way to a connection",
    "sqlalchemy.orm": "nothing here is an object of its own",
    # Not `opentelemetry` itself: redis-py asks for it, is told that it is missing, and the attempt is written down.
    "opentelemetry.context": "0.1 s and 11 MB, where traces are switched on",
    "google.protobuf": "the same",
    "jwt": "60 ms with its cryptography, for the first token that somebody shows",
    "cryptography.hazmat": "the same",
    "zxcvbn": "50 ms, for the first password that somebody chooses",
    "httpx": "60 ms, where another provider signs people in",
    "requests": "where traces are sent",
    "aiosmtplib": "for the first mail",
    "flask_swagger_ui": "its files are read without it, when somebody looks at /docs",
    "app.web.openapi": "for the first who asks for /openapi.json",
    "app.embedded": "`app dev`",
    "app.doctor": "`app doctor`",
}
OTHER_ENGINE = {
    "hypercorn": ("uvicorn", "httptools", "app.server.on_uvicorn"),
    "uvicorn": ("app.server.on_hypercorn",),  # Hypercorn itself is imported by Quart
}
IMPORT = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)
LISTENING = "server_listening"
# What the first request of each kind goes through; the session is nobody's and has to be looked for.
FIRST = ("/health/live", "/health/ready", "/api/v1/auth/me", "/docs", "/nowhere", "/metrics")
SESSION = {"Cookie": "__Host-session=" + 43 * "A"}


@asynccontextmanager
async def started(settings: TestSettings, role: str) -> AsyncIterator[tuple[Typed, httpx.AsyncClient]]:
    """A process that tells on stderr what it imports, between the lines of its log."""
    env = {"PYTHONPROFILEIMPORTTIME": "1", "APP_DATABASE__MIGRATE_AT_START": "true"}
    with reserved_port() as port:
        async with (
            typed(settings, role, "--port", str(port), **env) as process,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN) as http,
        ):
            await eventually(lambda: LISTENING in process.text, within=WITHIN)
            yield process, http
            process.process.send_signal(signal.SIGTERM)
            assert await process.ended() == 0


@pytest.mark.engines
async def test_a_server_starts_without_what_can_wait(settings: TestSettings) -> None:
    async with started(settings, "serve") as (server, _):
        imported = set(IMPORT.findall(server.text))

    other = OTHER_ENGINE[settings().server.engine]
    assert {"app.server.lifecycle", "sqlalchemy", "redis", "quart"} <= imported
    assert {name for name in imported if belongs(name, *LATER, *other)} == set()


async def test_a_worker_starts_without_what_can_wait(settings: TestSettings) -> None:
    async with started(settings, "worker") as (worker, _):
        imported = set(IMPORT.findall(worker.text))

    assert {"app.tasks.runner", "sqlalchemy", "redis"} <= imported
    assert {name for name in imported if belongs(name, *LATER)} == set()


@pytest.mark.engines
async def test_what_can_wait_does_not_come_with_the_first_requests(settings: TestSettings) -> None:
    async with started(settings, "serve") as (server, http):
        answers = [await http.get(path, headers=SESSION) for path in FIRST]
        _, _, later = server.text.partition(LISTENING)

    assert [answer.status_code for answer in answers] == [200, 200, 401, 200, 404, 200]
    assert IMPORT.findall(later) == []


async def test_what_waits_comes_when_it_is_asked_for(settings: TestSettings) -> None:
    """The two tests above would not see an import that is not told."""
    async with started(settings, "serve") as (server, http):
        await http.get("/openapi.json")

        await eventually(lambda: "app.web.openapi" in IMPORT.findall(server.text), within=WITHIN)


@pytest.mark.parametrize("role", ["serve", "worker"])
async def test_nobody_looks_at_everything_for_garbage_during_a_start(settings: TestSettings, role: str) -> None:
    async with started(settings, role) as (_, http):
        metrics = (await http.get("/metrics")).text

    assert 'python_gc_collections_total{generation="2"} 0.0' in metrics


def test_importing_all_features_compiles_no_statement() -> None:
    code = "import app.bootstrap as _, app.core.database as d; print([s for s in d.statements() if 'plan' in vars(s)])"

    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True, capture_output=True, timeout=60)

    assert said.stdout == b"[]\n"


def belongs(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)
