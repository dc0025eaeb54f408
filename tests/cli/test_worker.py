"""`app worker` as a person types it, and `app health --worker` beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.core.database import Database
from app.core.queue import Queue
from app.core.settings import PROJECT_ROOT
from app.features.queue.tasks import SWEEP_OUTBOX
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

WITHIN = 60.0  # seconds; a loaded machine, not a slow start
DONE = "SELECT count(*) FROM finished_tasks WHERE status = 'done'"


@dataclass
class Typed:
    """A command and what it has said so far, in one text."""

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.said)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(line.decode())

    async def ended(self) -> int:
        async with asyncio.timeout(WITHIN):
            return await self.process.wait()


@asynccontextmanager
async def typed(settings: TestSettings, *words: str, **env: str) -> AsyncIterator[Typed]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *words),
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **settings.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    command = Typed(process)
    listening = asyncio.create_task(command.listen())
    try:
        yield command
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def health(settings: TestSettings, port: int) -> tuple[int, str]:
    async with typed(settings, "health", "--worker", APP_WORKER__PORT=str(port)) as asked:
        code = await asked.ended()
    return code, asked.text


async def test_a_worker_typed_by_hand_works_tells_its_health_and_ends_with_ctrl_c(
    settings: TestSettings, queue: Queue, db: Database, own_port: int
) -> None:
    async with typed(settings, "worker", "--port", str(own_port)) as worker:
        async with db.transaction():
            await queue.enqueue(SWEEP_OUTBOX, SWEEP_OUTBOX.payload())
        await eventually(lambda: db.fetch_val(DONE), within=WITHIN)
        await eventually(lambda: "server_listening" in worker.text, within=WITHIN)
        well = await health(settings, own_port)

        worker.process.send_signal(signal.SIGINT)
        code = await worker.ended()
    gone = await health(settings, own_port)

    assert well == (0, f"http://127.0.0.1:{own_port}/health/ready: ready\n")
    assert code == 0
    assert "worker_stopped" in worker.text
    assert gone[0] == 1
    assert "no answer" in gone[1]


async def test_a_worker_needs_no_port_of_a_server(settings: TestSettings) -> None:
    """Both run on one machine, with the settings as they come."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = str(server.getsockname()[1])
        async with typed(settings, "--set", f"server.port={taken}", "worker", "--port", "0") as worker:
            await eventually(lambda: "server_listening" in worker.text, within=WITHIN)
            worker.process.send_signal(signal.SIGTERM)

            assert await worker.ended() == 0


async def test_a_taken_port_ends_the_start_with_5(settings: TestSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        async with typed(settings, "worker", "--port", port) as refused:
            code = await refused.ended()

    assert code == 5
    assert f"127.0.0.1:{port} is in use by another program" in refused.text


async def test_an_address_that_is_none_of_this_machine_names_the_settings_of_a_worker(settings: TestSettings) -> None:
    async with typed(settings, "worker", "--host", "192.0.2.1") as refused:
        code = await refused.ended()

    assert code == 2
    assert "look at server.host and worker.port" in refused.text


async def test_a_wrong_port_is_named_as_it_was_typed(settings: TestSettings) -> None:
    async with typed(settings, "worker", "--port", "70000") as refused:
        code = await refused.ended()

    assert code == 2
    assert "worker.port" in refused.text
    assert "--port" in refused.text
