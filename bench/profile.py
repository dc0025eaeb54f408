"""Where the CPU of a request goes, by layers: `make bench-profile`, or `python -m bench.profile [ENGINE]`.

Plinth serves as in `bench.http`, to the same client. First the CPU of a request is measured alone; then py-spy looks
at the process some hundred times a second, stops it for that (a look at one that runs on sees half of its stacks
torn), and each look counts for the innermost layer that is on the stack, what is written in C included: what has no
layer of its own counts for whoever called it, and where that is the event loop (polling, reading and writing sockets)
for the loop. The profiler slows the process, deep stacks most: take a share for 2 points better or worse. Two layers
are also measured by leaving them out.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from app.core.settings import PROJECT_ROOT
from app.core.settings.sections.server import HttpEngine
from app.core.telemetry import configure_logging, parse_levels
from app.server.engine import loop_factory
from bench.http.contestants import Contestant, plinth
from bench.http.ground import Ground, open_ground
from bench.http.load import Request, send
from bench.http.server import Server, serving
from bench.http.turn import PARTS, requests_of

PROFILER = PROJECT_ROOT / ".local" / "bench-profile" / "bin" / "py-spy"
A_SECOND = 250  # looks
WARM_UP = 2.0  # seconds
LOOP = "event loop, sockets"

# The first that matches the file of a frame, from the innermost outwards; frames of no layer (the standard library)
# count for whoever called them.
LAYERS = {
    "HTTP parser": r"/h11/|/httptools/",
    "server engine": r"/hypercorn/|/uvicorn/|app/server/on_",
    "Quart, Werkzeug": r"/quart/|/werkzeug/|/flask/|/blinker/|/itsdangerous/|/markupsafe/",
    "rate limits (Redis)": r"app/core/rate_limit|app/core/redis|app/web/rate_limits|/redis/",
    "metrics": r"app/core/metrics|/prometheus_client/",
    "log line": r"app/core/telemetry|/structlog/|app/web/access|/logging/",
    "JSON": r"app/core/json|app/web/json",
    "validation": r"app/web/(parsing|conversion|single|faults|endpoint)|/msgspec/",
    "edge: id and exchange": r"app/web/(request_ids|exchange)|app/core/ids",
    "edge: head, proxies, security headers, CORS": r"app/web/(heads|proxies|security_headers|cors|origins)",
    "edge: containment": r"app/web/(recovery|containment|escapes|streaming)",
    "edge: connection, body": r"app/web/(connection|body|requests)",
    "edge: dispatch, gates, policy": r"app/web/",
    "authentication": r"app/features/identity|app/core/callers",
    "outbox": r"app/core/queue",
    "pool, statements, transactions": r"app/core/database",
    "SQLAlchemy": r"/sqlalchemy/",
    "asyncpg": r"/asyncpg/",
    "databases": r"/databases/",
    "handler": r"bench/http/feature",
}
# As their compilers name the files of what is written in C, without a folder.
NATIVE = {"HTTP parser": r"\((parser|llhttp|api)\.c:", "asyncpg": r"\((protocol|pgproto|recordobj|record)\.c:"}
WITHOUT = {"rate limits (Redis)": "rate_limit.enabled=false", "log line": "log.level=warning"}
_PATTERNS = [(name, re.compile(pattern)) for each in (LAYERS, NATIVE) for name, pattern in each.items()]


def layer_of(stack: Iterable[str]) -> str:
    """`stack` has its innermost frame last, as `function (file:line)`."""
    for frame in reversed(list(stack)):
        for name, pattern in _PATTERNS:
            if pattern.search(frame):
                return name
    return LOOP


def shares(folded: str) -> dict[str, float]:
    """Of py-spy's raw lines, each `frame;frame;... count`; the dearest first."""
    found: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        if "asyncio/runners.py" in stack:  # no thread of a pool
            found[layer_of(stack.split(";"))] += int(count)
    total = sum(found.values()) or 1
    return {name: count / total for name, count in found.most_common()}


async def cost(server: Server, request: Request, seconds: float) -> float:
    """CPU microseconds of a request."""
    before = server.cpu()
    load = await send(server.url, request, seconds)
    return (server.cpu() - before) / load.requests * 1e6


async def look(server: Server, request: Request, seconds: int, folder: Path) -> dict[str, float]:
    """What py-spy sees of the server while it is asked."""
    file = folder / "stacks"
    asking = asyncio.create_task(send(server.url, request, seconds + WARM_UP))
    arguments = ("record", "--pid", str(server.pid), "--rate", str(A_SECOND), "--duration", str(seconds))
    process = await asyncio.create_subprocess_exec(
        PROFILER,
        *(*arguments, "--format", "raw", "--full-filenames", "--native", "--output", str(file)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await asking
    if await process.wait():
        raise RuntimeError("py-spy could not look: it needs the right to trace other processes (root, CAP_SYS_PTRACE)")
    return shares(file.read_text())


async def removal(ground: Ground, engine: str, request: Request, seconds: int) -> dict[str, float]:
    """What a request costs without each layer that a setting leaves out."""
    found = {}
    for name, override in WITHOUT.items():
        contestant = Contestant("plinth", name, plinth(engine, override))
        async with serving(contestant, ground.place()) as server:
            await send(server.url, request, WARM_UP)
            found[name] = await cost(server, request, seconds)
    return found


async def profile(engine: str, seconds: int) -> str:
    """One table for each piece of work."""
    tables = []
    async with open_ground() as ground:
        for work in PARTS.values():
            request = requests_of(ground)[work]
            await ground.reset()
            async with serving(Contestant("plinth", engine, plinth(engine)), ground.place()) as server:
                await send(server.url, request, WARM_UP)
                whole = await cost(server, request, seconds)
                found = await look(server, request, seconds, ground.folder)
            tables.append(table(f"{work}, {engine}", whole, found, await removal(ground, engine, request, seconds)))
    return "\n\n".join(tables)


def table(title: str, whole: float, found: Mapping[str, float], without: Mapping[str, float]) -> str:
    """In Markdown."""
    rows = [
        f"| {name} | {share:.1%} | {share * whole:.0f} | {_saved(whole, without.get(name))} |"
        for name, share in found.items()
    ]
    head = ("| layer | share | us a request | by leaving it out |", "|---|---:|---:|---:|")
    return "\n".join((f"{title}: {whole:.0f} us of CPU a request", "", *head, *rows))


def _saved(whole: float, without: float | None) -> str:
    return "" if without is None else f"{whole - without:.0f}"


def main(arguments: list[str]) -> None:
    """Print the tables."""
    if not PROFILER.exists():
        sys.exit("The profiler is not installed: `make bench-profile` brings it.")
    parser = argparse.ArgumentParser(prog="python -m bench.profile")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("engine", nargs="*", type=HttpEngine)
    given = parser.parse_args(arguments)
    configure_logging(parse_levels("warning"), json=False)
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        for engine in given.engine or HttpEngine:
            print(runner.run(profile(engine, given.seconds)), end="\n\n")  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main(sys.argv[1:])
