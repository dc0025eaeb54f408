"""What realtime costs, beside a minimal FastAPI application on uvicorn: memory, connects, broadcast, echo.

`make bench-sockets [CLIENTS=1000] [ROUNDS=5]`, or `python -m bench.sockets [CLIENTS] [ROUNDS]`. Each round starts every
server, one after the other and each second round the other way around, and lets the same crowd of raw sockets loose on
them. The crowd runs in this process, on the same machine: the two share its cores, and what the crowd needs is in every
time. So the ratios are what counts, and on a machine that has other work, those of the server's own CPU time.
PostgreSQL and Redis come from wheels.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
from pathlib import Path

from app.core.migrations import migrate_up
from app.core.settings import PROJECT_ROOT
from app.core.telemetry import configure_logging, parse_levels
from app.server.engine import loop_factory
from bench.figures import Part, keep
from bench.machine import installed, pinned
from bench.measures import Measure, progress, series_of, turns
from bench.socket_contestants import CONTESTANTS, PEER_PYTHON
from bench.socket_measures import ACTIVE, RATE, SETTLE, Figures, measure
from bench.tables import shown
from tests.harness.services import Way, open_services
from tests.harness.settings import make_settings

PART = "sockets"
PEERS = PROJECT_ROOT / "bench" / "requirements.txt"
SPARE = 200  # files that a server needs besides its clients' sockets

IDLE = Measure("memory of a client, idle", "idle", "KB")
BROADCAST = Measure("broadcast, until the last has it", "broadcast", "ms")
MEASURES = (
    IDLE,
    Measure("memory of a client, after broadcasts", "pushed", "KB"),
    Measure("connects, until pushes are heard", "connects", "a second", more_is_better=True),
    Measure("CPU for a connect", "connect cpu", "us"),
    BROADCAST,
    Measure("publish through Redis, the same", "publish", "ms"),
    Measure("CPU for each client of a publish", "publish cpu", "us"),
    Measure(f"echo p50, {ACTIVE} clients at {RATE:,} a second", "echo p50", "ms"),
    Measure(f"echo p99, {ACTIVE} clients at {RATE:,} a second", "echo p99", "ms"),
    Measure(f"echoes of these not answered within {SETTLE:.0f} s", "echoes lost", ""),
    Measure(f"echoes of {ACTIVE} clients, as many as go", "echoes", "a second", more_is_better=True),
    Measure("CPU for an echo", "echo cpu", "us"),
)


async def compare(clients: int, rounds: int) -> dict[str, list[Figures]]:
    """Each contestant's figures, round by round."""
    found: dict[str, list[Figures]] = {name: [] for name in CONTESTANTS}
    async with open_services(Way.EMBEDDED, f"bench-{os.getpid()}") as services:
        with tempfile.TemporaryDirectory() as folder:
            settings = make_settings(Path(folder), database_url=services.postgres, redis_url=services.redis)
            await migrate_up(settings().database)
            for number in range(rounds):
                for name in turns(list(CONTESTANTS), number):
                    async with CONTESTANTS[name](settings, clients) as server:
                        found[name].append(_quickest(await measure(server, clients)))
                    progress(f"round {number + 1} of {rounds}: {name}")
    return found


def _quickest(figures: Figures) -> Figures:
    """A contestant that broadcasts in several ways is taken by its quicker one."""
    return figures | {"broadcast": min(value for key, value in figures.items() if key.startswith("broadcast"))}


def make_room(clients: int) -> None:
    """Allow this process and those it starts enough open files, or say how to."""
    needed = clients + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(
            f"{clients:,} clients need {needed:,} open files, and this shell allows {hard:,}. Raise it "
            f"(`ulimit -Hn {needed}` as root), or ask for fewer: make bench-sockets CLIENTS={max(hard - SPARE, 1)}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed) if soft != resource.RLIM_INFINITY else soft, hard))


def main() -> None:
    """Measure, keep the figures, print them."""
    clients, rounds = (int(given) for given in [*sys.argv[1:3], *("1000", "5")[len(sys.argv) - 1 :]])
    if clients < ACTIVE:
        sys.exit(f"{ACTIVE} clients echo; ask for at least as many.")
    if not PEER_PYTHON.exists():
        sys.exit("The peers are not installed: `make bench-sockets` brings them.")
    make_room(clients)
    configure_logging(parse_levels("warning"), json=False)
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        found = runner.run(compare(clients, rounds))
    versions = installed("hypercorn", "uvicorn", "uvloop", "wsproto") | pinned(PEERS, "fastapi", "websockets")
    part = Part(PART, series_of(PART, found, MEASURES), versions, {"clients": f"{clients:,}", "repeats": str(rounds)})
    keep(part)
    print(shown(part))  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main()
