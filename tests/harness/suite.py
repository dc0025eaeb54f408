"""A pytest run inside a test: a few small test files, run as a person would, in processes of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.core.settings import PROJECT_ROOT
from tests.harness.databases import PREFIX
from tests.harness.waiting import eventually

# xdist gives a worker that does not end 10 s before it kills it; in BLOCKS none ever ends by itself.
CONFTEST = """
from xdist.workermanage import NodeManager

pytest_plugins = ["tests.harness.plugin", "tests.harness.fixtures"]
NodeManager.EXIT_TIMEOUT = 1
"""
OURS = ("PLINTH_", "TEST_", "PYTEST_", "COV_")
BLOCKS = """
import asyncio
from pathlib import Path

async def test_blocks(database_url):
    Path(__file__).with_name("database").write_text(database_url)
    await asyncio.Event().wait()
"""


class Suite:
    """A folder of tests and how to run it."""

    def __init__(self, folder: Path, **environ: str) -> None:
        """Begin without the choices that the surrounding run was started with."""
        self.folder = folder
        self.environ = {name: text for name, text in os.environ.items() if not name.startswith(OURS)} | environ
        (folder / "conftest.py").write_text(CONFTEST)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    @asynccontextmanager
    async def started(self, *arguments: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Begin a run in a group of its own, as a terminal does."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(PROJECT_ROOT / "pyproject.toml")),
            *("--rootdir", str(self.folder), "--timeout=60", str(self.folder), *arguments),
            cwd=PROJECT_ROOT,
            env={**self.environ, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def run(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Exit code and output of a whole run."""
        async with self.started(*arguments, **environ) as process:
            output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def blocked(self) -> str:
        """Wait until the test of BLOCKS has its database and does not go on; return the run's id."""
        database = self.folder / "database"
        url = await eventually(lambda: database.exists() and database.read_text(), within=100)
        return str(url).rpartition("/")[2].removeprefix(PREFIX).partition("_")[0]
