"""`app dev`: the whole stack in one terminal, from a copy of the project without Docker."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from app.cli.dev import start_postgres_near
from app.core.settings import PROJECT_ROOT
from app.embedded import server
from tests.harness.processes import alive, family
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

WITHIN = 60.0  # seconds; a loaded machine, not a slow start

# What a feature does in a request, in another process; it ends when the task has been done.
ASK_AND_WAIT = """
import asyncio
from app.core.database import open_database
from app.core.queue import open_queue
from app.core.settings import load_settings
from app.features.queue.tasks import SWEEP_OUTBOX

async def main():
    async with open_database(load_settings().database) as db, open_queue(db) as queue:
        async with db.transaction():
            task = await queue.enqueue(SWEEP_OUTBOX, SWEEP_OUTBOX.payload())
        while not await db.fetch_val("SELECT status FROM finished_tasks WHERE id = :id", {"id": task}):
            await asyncio.sleep(0.05)

asyncio.run(main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of its own, so that neither the developer's `.local` nor the `.env` is touched."""
    for part in ("app", "migrations"):
        shutil.copytree(PROJECT_ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(PROJECT_ROOT / "settings.toml", tmp_path)
    return tmp_path


@dataclass
class Dev:
    process: asyncio.subprocess.Process
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        return next(line.split()[1] for line in self.text.splitlines() if line.strip().startswith("Open:"))

    async def banner(self) -> None:
        await eventually(lambda: "Stop:" in self.text or self.process.returncode is not None, within=WITHIN)
        assert self.process.returncode is None, self.text

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(WITHIN):
            return await self.process.wait()


@asynccontextmanager
async def dev(project: Path, *arguments: str, **env: str) -> AsyncIterator[Dev]:
    log = project / "dev.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "dev", *arguments),
            cwd=project,
            env={"PATH": os.environ["PATH"], **env},
            stdout=output,
            stderr=output,
        )
    try:
        yield Dev(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_everything_runs_and_ctrl_c_leaves_no_process_but_the_data(project: Path) -> None:
    async with dev(project, "--port", "0") as first:
        await first.banner()
        async with httpx.AsyncClient(timeout=WITHIN) as client:
            health = (await client.get(f"{first.url}/health")).json()
            page = await client.get(f"{first.url}/", follow_redirects=True)
            docs = await client.get(next(line.split()[1] for line in first.text.splitlines() if "Docs:" in line))
            signing_in = next(line.split() for line in first.text.splitlines() if "Sign in:" in line)
            given = {"email": signing_in[2], "password": signing_in[-1]}
            signed_in = await client.post(f"{first.url}/api/v1/auth/login", json=given)
        processes = family(first.process.pid)
        code = await first.end(signal.SIGINT)

    assert (health["status"], health["database"], health["redis"]) == ("healthy", "connected", "connected")
    assert "Plinth is running" in page.text
    assert "docs/swagger-ui-bundle.js" in docs.text
    assert (signed_in.status_code, signed_in.json()["user"]["role"]) == (200, "admin")
    assert code == 0
    assert len(processes) > 5, "the server, PostgreSQL with its processes, Redis"
    assert not [process for process in processes if alive(process.pid)]

    async with dev(project, "--port", "0") as second:
        await second.banner()
        assert await second.end(signal.SIGTERM) == 0
        assert "revision_applying" not in second.text, "the schema was kept"
        assert "with the password in .local/first-sign-in" in second.text
        assert given["password"] not in second.text


async def test_a_taken_port_is_told_before_anything_is_started(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with dev(project, "--port", port) as refused, asyncio.timeout(WITHIN):
            code = await refused.process.wait()

    assert code == 5
    assert f"127.0.0.1:{port} is in use by another program" in refused.text
    assert not (project / ".local" / "postgres").exists()


async def test_postgres_takes_the_configured_port_where_it_is_free(project: Path, own_port: int) -> None:
    port = str(own_port)
    async with dev(project, "--port", "0", APP_DATABASE__PORT=port) as running:
        await running.banner()
        status = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "migrate", "status"),
            cwd=project,
            env={"PATH": os.environ["PATH"], "APP_DATABASE__PORT": port},
            stdout=asyncio.subprocess.DEVNULL,
        )

        assert await status.wait() == 0
        assert f"127.0.0.1:{port}" in running.text


async def test_a_port_lost_at_the_last_moment_is_not_the_end(
    service_dir: Path, settings: TestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a second project starts in the same moment: free when looked at, taken when PostgreSQL binds it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        wanted = other.getsockname()[1]

        def lose_it(port: int) -> None:
            if port == wanted:
                other.listen()

        monkeypatch.setattr(server, "check_free", lose_it)
        database = replace(settings().database, port=wanted)
        async with await start_postgres_near(database, service_dir / "postgres") as postgres:
            bound = "Address already in use" in postgres.log_path.read_text()

            assert bound, "PostgreSQL itself met the other program"
            assert postgres.running
            assert postgres.port != wanted


async def test_another_terminal_pushes_to_who_is_connected(project: Path) -> None:
    async with dev(project, "--port", "0") as running:
        await running.banner()
        async with connect(f"{running.url.replace('http', 'ws')}/ws", proxy=None) as socket, asyncio.timeout(WITHIN):
            while not json.loads(await socket.recv()).get("epoch"):
                pass  # until pushes arrive
            # What the banner says to type, but for the interpreter.
            command = next(line.split(maxsplit=1)[1] for line in running.text.splitlines() if "Push:" in line)
            pushing = await asyncio.create_subprocess_shell(
                command.replace(".venv/bin/app", f"{sys.executable} -m app"),
                cwd=project,
                env={"PATH": os.environ["PATH"]},
                stdout=asyncio.subprocess.DEVNULL,
            )
            event = json.loads(await socket.recv())
        kept = (project / ".local" / "redis.url").stat().st_mode & 0o777

        assert await pushing.wait() == 0
        assert (event["type"], event["topic"], event["data"]) == ("event", "everyone", 1)
        assert kept == 0o600


async def test_what_is_asked_for_is_done_by_the_worker_inside(project: Path, own_port: int) -> None:
    port = str(own_port)
    async with dev(project, "--port", "0", APP_DATABASE__PORT=port) as running:
        await running.banner()
        asking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ASK_AND_WAIT),
            cwd=project,
            env={"PATH": os.environ["PATH"], "APP_DATABASE__PORT": port},
        )
        async with asyncio.timeout(WITHIN):
            asked = await asking.wait()
        async with httpx.AsyncClient(timeout=WITHIN) as client:
            ready = (await client.get(f"{running.url}/health/ready")).json()
        code = await running.end(signal.SIGTERM)

    assert (asked, code) == (0, 0)
    assert ready["checks"]["worker"] == {"ok": True}
    assert "worker_stopped" in running.text


async def test_a_broken_data_folder_ends_the_start_with_3_and_its_reason(project: Path) -> None:
    (project / ".local" / "postgres").mkdir(parents=True)
    (project / ".local" / "postgres" / "holiday.jpg").touch()

    async with dev(project, "--port", "0") as refused, asyncio.timeout(WITHIN):
        code = await refused.process.wait()

    assert code == 3
    assert "is not empty and not made by PostgreSQL" in refused.text
