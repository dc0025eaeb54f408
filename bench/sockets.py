"""What realtime costs, beside a minimal Starlette application on uvicorn: memory, connects, broadcast, echo.

`make bench-sockets [CLIENTS=2000] [ROUNDS=3]`, or `python -m bench.sockets [CLIENTS] [ROUNDS]`. Each round starts both
servers, one after the other and in turn first, and lets the same crowd of raw sockets loose on them. The crowd runs in
this process, on the same machine: the two share its cores, and what the crowd needs is in every time. So the ratios
are what counts, and on a machine that has other work, those of the server's own CPU time. PostgreSQL and Redis come
from wheels.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.migrations import migrate_up
from app.core.telemetry import configure_logging, parse_levels
from app.server.engine import loop_factory
from bench.socket_contestants import PEER_PYTHON, Contestant, plinth, starlette
from bench.socket_measures import ACTIVE, RATE, Figures, measure
from tests.harness.services import Way, open_services
from tests.harness.settings import make_settings

CONTESTANTS: dict[str, Contestant] = {"plinth": plinth, "starlette": starlette}
SPARE = 200  # files that a server needs besides its clients' sockets


@dataclass(frozen=True)
class Line:
    """One figure, as it is shown."""

    title: str
    key: str
    unit: str
    digits: int = 1


LINES = (
    Line("memory of a client, idle", "idle", "KiB"),
    Line("memory of a client, after broadcasts", "pushed", "KiB"),
    Line("connects, until pushes are heard", "connects", "a second", 0),
    Line("  the server's CPU for each", "connect cpu", "us", 0),
    Line("broadcast until the last has it", "broadcast", "ms"),
    Line("publish through Redis, the same", "publish", "ms"),
    Line("  the server's CPU for each client", "publish cpu", "us"),
    Line(f"echo p50, {ACTIVE} clients at {RATE:,} a second", "echo p50", "ms", 2),
    Line(f"echo p99, {ACTIVE} clients at {RATE:,} a second", "echo p99", "ms", 2),
    Line(f"echoes of {ACTIVE} clients, as many as go", "echoes", "a second", 0),
    Line("  the server's CPU for each", "echo cpu", "us", 0),
)


async def compare(clients: int, rounds: int) -> dict[str, Figures]:
    """The median of each contestant's figures over all rounds."""
    found: dict[str, list[Figures]] = {name: [] for name in CONTESTANTS}
    async with open_services(Way.EMBEDDED, f"bench-{os.getpid()}") as services:
        with tempfile.TemporaryDirectory() as folder:
            settings = make_settings(Path(folder), database_url=services.postgres, redis_url=services.redis)
            await migrate_up(settings().database)
            for number in range(rounds):
                names = list(CONTESTANTS)
                for name in names if number % 2 == 0 else reversed(names):
                    async with CONTESTANTS[name](settings, clients) as server:
                        found[name].append(await measure(server, clients))
                    print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)  # noqa: T201  (progress)
    return {name: _median(figures) for name, figures in found.items()}


def _median(rounds: Sequence[Figures]) -> Figures:
    figures = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    ways = [key for key in figures if key.startswith("broadcast")]
    return {**figures, "broadcast": min(figures[way] for way in ways)}


def report(figures: dict[str, Figures], clients: int, rounds: int) -> str:
    """One line for each figure: ours, the peer's, and how many times the peer's ours is."""
    ours, peer = figures["plinth"], figures["starlette"]
    lines = [
        f"{clients:,} clients, medians of rounds: {rounds}; clients and server share {os.cpu_count()} cores",
        "",
        f"{'':<44} {'plinth':>10} {'starlette':>10}            ratio",
    ]
    for line in LINES:
        mine, theirs = ours[line.key], peer[line.key]
        shown = " ".join(f"{value:>10,.{line.digits}f}" for value in (mine, theirs))
        lines.append(f"{line.title:<44} {shown} {line.unit:<8} {mine / theirs:>7.2f}")
    quicker, other = sorted(("sequential", "gather"), key=lambda way: peer[f"broadcast {way}"])
    lines += [
        "",
        f"The peer's broadcast is its quicker one, {quicker}; {other} took {peer[f'broadcast {other}']:.1f} ms.",
        "Unlike the peer, ours watches peers, bounds queues and sizes, counts, and numbers what it publishes.",
    ]
    return "\n".join(lines)


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
    """Print the report."""
    clients, rounds = (int(given) for given in [*sys.argv[1:3], *("2000", "3")[len(sys.argv) - 1 :]])
    if clients < ACTIVE:
        sys.exit(f"{ACTIVE} clients echo; ask for at least as many.")
    if not PEER_PYTHON.exists():
        sys.exit("The peer is not installed: `make bench-sockets` brings it.")
    make_room(clients)
    configure_logging(parse_levels("warning"), json=False)
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        figures = runner.run(compare(clients, rounds))
    print(report(figures, clients, rounds))  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main()
