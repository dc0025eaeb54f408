"""Runs whose services live in containers."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.harness.containers import LABEL
from tests.harness.suite import BLOCKS, Suite
from tests.harness.waiting import eventually

pytestmark = pytest.mark.docker


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path, PLINTH_TEST_SERVICES="containers")


async def containers(run_id: str) -> list[str]:
    """The ids of a run's containers."""
    asked = await asyncio.create_subprocess_exec(
        *("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}={run_id}"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asked.communicate()
    assert asked.returncode == 0
    return output.decode().split()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_a_run_leaves_no_container_however_it_ends(suite: Suite, number: signal.Signals) -> None:
    suite.write("test_it.py", BLOCKS)
    async with suite.started("-n0") as run:
        run_id = await suite.blocked()
        running = await containers(run_id)
        run.send_signal(number)
        await run.communicate()

    async def gone() -> bool:
        return await containers(run_id) == []

    assert len(running) == 2
    await eventually(gone, within=30)
