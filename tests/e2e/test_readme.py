"""Every command that README shows is typed as it stands there, in a copy as a fresh clone would be."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.project import ROOT
from tests.harness.ports import kept_ports, reserved_port
from tests.harness.processes import alive, family, kill_family
from tests.harness.waiting import eventually

LOADED = 60.0  # seconds; a loaded machine, not a slow app
INSTALL_LIMIT = 600.0  # seconds; a fresh clone downloads its dependencies
COMMAND_LIMIT = 600.0  # one of them builds the image, while other tests build theirs
WHILE_RUNNING = (
    "curl -s http://127.0.0.1:8000/health",
    "curl -s http://127.0.0.1:8000/metrics",
    ".venv/bin/app health",
    ".venv/bin/app migrate status",
    ".venv/bin/app migrate check",
    ".venv/bin/app tasks list",
    ".venv/bin/app outbox status",
    ".venv/bin/app user list",
    """APP_REDIS__URL=$(cat .local/redis.url) .venv/bin/app publish everyone '{"notice": "Hello"}'""",
)
CONTAINERS = ("make up", "make logs", "make down")

pytestmark = [pytest.mark.xdist_group("readme"), pytest.mark.timeout(2400)]


def readme_commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


class Clone:
    """A copy of what git tracks here, with nothing of the developer's own, and a shell to type into."""

    def __init__(self, folder: Path, port: int, database_port: int) -> None:
        tracked = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, tracked.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).exists():
                shutil.copy2(ROOT / name, folder / name)
        self.folder = folder
        self.port = port
        # Also what an outer `make test VENV=...` hands down to every make below it.
        ours = ("TEST_", "PLINTH_", "PYTEST_", "APP_", "MAKE", "MFLAGS", "VENV", "PYTHON")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        # The clone's own port: 8000 may be in use where the tests run, and must not decide whether they pass.
        # Nor must the minute that pip would take to compile what is mostly not imported here.
        self.env |= {"PORT": str(self.port), "PIP_NO_COMPILE": "1"}
        self.running = {"APP_DATABASE__PORT": str(database_port)}
        self.env |= {"PYTEST_ADDOPTS": "tests/core/test_telemetry.py", "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}

    def type(self, command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command as README shows it, but for the port."""
        return subprocess.run(
            command.replace(":8000", f":{self.port}"),
            shell=True,
            cwd=self.folder,
            env={**self.env, **env},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_LIMIT,
            check=False,
        )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with reserved_port() as port, reserved_port() as database_port:
        yield Clone(tmp_path_factory.mktemp("clone"), port, database_port)


async def test_the_commands_do_what_readme_says(clone: Clone) -> None:
    """One test, in the order of the page: the first command installs what the others use."""
    async with left_running(clone, "make run", until=" is running.", within=INSTALL_LIMIT, **clone.running) as make:
        answers = {command: await type_(clone, command, **clone.running) for command in WHILE_RUNNING}
        family_of_make = family(make.pid)
        os.killpg(make.pid, signal.SIGINT)
        await asyncio.to_thread(make.wait, COMMAND_LIMIT)

    assert '"status":"healthy"' in answers[WHILE_RUNNING[0]]
    assert len(family_of_make) > 5, "make, the server, PostgreSQL with its processes, Redis"
    assert not [process for process in family_of_make if alive(process.pid)], "Ctrl-C leaves no process"

    for command in readme_commands():
        if command not in ("make run", *WHILE_RUNNING, *CONTAINERS):
            await type_(clone, command)


@pytest.mark.docker
async def test_the_container_commands_do_what_readme_says(clone: Clone) -> None:
    ports = dict(zip(("PLINTH_PORT", "POSTGRES_PORT", "REDIS_PORT"), map(str, kept_ports(3)), strict=True))
    own = {**ports, "COMPOSE_PROJECT_NAME": f"plinth-readme-{os.getpid()}"}
    try:
        await type_(clone, "make up", **own)
        async with httpx.AsyncClient(timeout=LOADED) as client:
            assert (await client.get(f"http://127.0.0.1:{ports['PLINTH_PORT']}/health/ready")).status_code == 200
        async with left_running(clone, "make logs", until="server_listening", within=LOADED, **own) as logs:
            os.killpg(logs.pid, signal.SIGINT)  # it follows until Ctrl-C
            await asyncio.to_thread(logs.wait, COMMAND_LIMIT)
    finally:
        await type_(clone, "make down", **own)
        # What `make down` keeps on purpose, and what the next run has no use for.
        await type_(clone, "docker volume rm ${COMPOSE_PROJECT_NAME}_postgres", **own)
        await type_(clone, "docker image rm plinth:$COMPOSE_PROJECT_NAME", **own)


def test_no_command_of_readme_is_left_out() -> None:
    commands = readme_commands()

    assert {"make run", "make test", *WHILE_RUNNING, *CONTAINERS} <= set(commands)


async def type_(clone: Clone, command: str, **env: str) -> str:
    """Type it and return what it prints; it has to succeed."""
    done = await asyncio.to_thread(clone.type, command, **env)
    assert done.returncode == 0, f"$ {command}\n{done.stdout}"
    return done.stdout


@asynccontextmanager
async def left_running(
    clone: Clone, command: str, *, until: str, within: float, **env: str
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A command that does not end by itself, from when it says so; gone at the end of the block, whatever happened."""
    log = clone.folder / f"{command.replace(' ', '-')}.log"
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: ASYNC220  (returns at once; waited for in a thread)
            command.split(),
            cwd=clone.folder,
            env=clone.env | env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        await eventually(lambda: until in log.read_text() or process.poll() is not None, within=within)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        if process.poll() is None:
            kill_family(process.pid)
            process.wait()
