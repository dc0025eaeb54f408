"""The load of `tests/server/load.py`, from a container in the stack's network: a published port has a proxy of the
engine before it, which accepts connections for a server that is gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.containers import container, docker, exit_code, output
from tests.harness.waiting import eventually

LOAD = Path(__file__).parent.parent / "server" / "load.py"
UNDER_LOAD = "under load"
SCRIPT = f"""
import asyncio, json, signal, sys
from load import Load

async def main():
    load = Load(sys.argv[1], rate=300)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.stop)
    running = asyncio.create_task(load.run())
    while load.outcomes["answered"] < 300:
        await asyncio.sleep(0.05)
    print("{UNDER_LOAD}", flush=True)
    print(json.dumps(await running))

asyncio.run(main())
"""


@dataclass(frozen=True)
class RunningLoad:
    name: str

    def stop(self) -> dict[str, int]:
        """End the load; how many requests had which outcome."""
        docker("kill", "--signal", "TERM", self.name)
        assert exit_code(self.name) == 0, output(self.name)
        outcomes: dict[str, int] = json.loads(output(self.name).splitlines()[-1])
        return outcomes


@asynccontextmanager
async def load_on(url: str, *, image: str, network: str) -> AsyncIterator[RunningLoad]:
    """300 requests a second, from the moment when the first 300 are answered."""
    options = ("--network", network, "--volume", f"{LOAD}:/load/load.py:ro", "--env", "PYTHONPATH=/load")
    with container(image, "-c", SCRIPT, url, options=(*options, "--entrypoint", "python3", "--no-healthcheck")) as name:
        await eventually(lambda: UNDER_LOAD in output(name), within=30)
        yield RunningLoad(name)
