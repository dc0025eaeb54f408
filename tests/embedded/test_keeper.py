"""Nothing of ours outlives us, however we end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from app.core.settings import PROJECT_ROOT
from app.embedded.child import Child, Launch
from app.embedded.folder import claim
from tests.harness.processes import alive, family, title
from tests.harness.waiting import eventually

PARENT = """
import asyncio, json, signal, sys
from pathlib import Path
from app.embedded import start_postgres, start_redis

async def main():
    folder, told = Path(sys.argv[1]), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, told.set)
    postgres = await start_postgres(folder / "postgres", user="plinth", password="x", database="plinth")
    redis = await start_redis(folder / "redis")
    print(json.dumps([postgres.pid, redis.pid]), flush=True)
    await told.wait()
    print(json.dumps([postgres.running, redis.running]), flush=True)
    await postgres.stop()
    await redis.stop()

asyncio.run(main())
"""


@asynccontextmanager
async def parent_of_both(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[psutil.Process]]]:
    """A process that has started both servers, and every process below it."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(folder)),
        stdout=asyncio.subprocess.PIPE,
        cwd=PROJECT_ROOT,
        start_new_session=True,
    )
    assert parent.stdout is not None
    try:
        pids = json.loads(await parent.stdout.readline())
        below = family(parent.pid)[1:]
        assert set(pids) < {process.pid for process in below}
        yield parent, below
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.wait()


def still_there(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if alive(process.pid) and process.is_running()]


async def test_both_servers_end_with_a_killed_parent(service_dir: Path) -> None:
    async with parent_of_both(service_dir) as (parent, below):
        parent.kill()

        await eventually(lambda: not still_there(below), within=15)


async def test_both_servers_end_when_their_keepers_are_killed(service_dir: Path) -> None:
    async with parent_of_both(service_dir) as (_parent, below):
        for keeper in [process for process in below if "keeper.py" in title(process)]:
            keeper.kill()

        await eventually(lambda: not still_there(below), within=15)


async def test_ctrl_c_reaches_the_parent_only(service_dir: Path) -> None:
    async with parent_of_both(service_dir) as (parent, below):
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does it: to the whole group

        assert parent.stdout is not None
        assert json.loads(await parent.stdout.readline()) == [True, True]
        assert await parent.wait() == 0
        assert still_there(below) == []


async def test_a_server_that_ignores_its_stop_signal_is_killed(service_dir: Path) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    launch = Launch((sys.executable, "-uc", script), service_dir / "log", signal.SIGTERM, grace=0.1)
    async with claim(service_dir / "data") as folder:
        child = Child.start(launch, folder)
        await eventually(lambda: "deaf" in launch.log.read_text(), within=10)

        code = await child.stop(signal.SIGTERM)

    assert code == -signal.SIGKILL & 0xFF


async def test_a_program_that_cannot_be_run_says_why(service_dir: Path) -> None:
    launch = Launch((str(service_dir / "nothing-here"),), service_dir / "log", signal.SIGTERM)
    async with claim(service_dir / "data") as folder:
        code = await Child.start(launch, folder).wait()

    assert code == 127
    assert "No such file or directory" in launch.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_stopping_what_has_ended_is_quiet(service_dir: Path, number: signal.Signals) -> None:
    launch = Launch((sys.executable, "-c", ""), service_dir / "log", signal.SIGTERM)
    async with claim(service_dir / "data") as folder:
        child = Child.start(launch, folder)
        await child.wait()

        assert await child.stop(number) == 0
