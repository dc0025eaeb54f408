"""How long a process takes from its start to its first 200, and what it holds at idle, beside the ORM stacks.

`python -m bench.startup [ROUNDS]`. Ours is `app serve` in production with the packages of an image, its services up
and its migrations current. Each round starts everybody once, each second round the other way around; one round
before them fills the caches of Python and of the kernel. Who asks looks once a millisecond, on the same cores.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from app.core.migrations import migrate_up
from app.core.settings import PROJECT_ROOT
from app.core.telemetry import configure_logging, parse_levels
from app.embedded.ports import free_port
from app.server.engine import loop_factory
from bench.figures import Part, keep
from bench.http import contestants
from bench.http.contestants import Place
from bench.machine import installed, pinned
from bench.measures import Measure, Round, progress, series_of, turns
from bench.names import ENGINES, FASTAPI_ORM, LITESTAR
from bench.startup_measures import EVENTS, NoStart, Start, measure
from bench.tables import shown
from tests.harness.services import Way, open_services
from tests.harness.settings import SECRETS, make_settings

PART = "startup"
PEERS = (FASTAPI_ORM, LITESTAR)
# What an image has and no more: where a library of the tests is installed, others find and load it.
SHIPPED = PROJECT_ROOT / ".local" / "bench-shipped" / "bin" / "python"

LIVE = Measure("first 200 of /health/live", "live", "ms")
READY = Measure("first 200 of /health/ready", "ready", "ms")
RSS = Measure("resident at idle", "rss", "MB")
MEASURES = (
    LIVE,
    READY,
    Measure("CPU until then", "cpu", "ms"),
    *(Measure(f"of it {phase}", phase, "ms") for phase in EVENTS.values()),
    RSS,
    Measure("its own of that (USS)", "uss", "MB"),
)


def ours(place: Place, engine: str, *, python: Path = SHIPPED) -> Start:
    """The whole product, as shipped."""
    settings = make_settings(place.folder, database_url=place.database_url, redis_url=place.redis_url)
    environ = {**settings.environ, **SECRETS, "APP_ENV": "production", "APP_SERVER__ENGINE": engine}
    command = (str(python), "-m", "app", "serve", f"--port={place.port}")
    return Start(command, _environ(environ), place.port, {"live": "/health/live", "ready": "/health/ready"})


def theirs(place: Place, name: str) -> Start:
    """A peer has no more to be ready for than to answer."""
    peer = next(each for each in contestants.CONTESTANTS if each.name == name)
    command = peer.command(place)
    return Start(command.arguments, command.environ, place.port, {"live": "/health/live"})


def _environ(more: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **more}


async def round_of(name: str, database_url: str, redis_url: str) -> Round:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(database_url, redis_url, Path(folder), free_port())
        if name not in ENGINES:
            return await measure(theirs(place, name))
        return await measure(ours(place, ENGINES[name]))


async def compare(rounds: int) -> dict[str, list[Round]]:
    """Each contestant's figures, round by round."""
    found: dict[str, list[Round]] = {name: [] for name in (*ENGINES, *PEERS)}
    async with open_services(Way.EMBEDDED, f"bench-{os.getpid()}") as services:
        with tempfile.TemporaryDirectory() as folder:
            settings = make_settings(Path(folder), database_url=services.postgres, redis_url=services.redis)
            await migrate_up(settings().database)
        for number in range(-1, rounds):
            for name in turns(list(found), number):
                figures = await round_of(name, services.postgres, services.redis)
                if number >= 0:
                    found[name].append(figures)
                    progress(f"round {number + 1} of {rounds}: {name}, {figures['live']:,.0f} ms")
    return found


def main() -> None:
    """Measure, keep the figures, print them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    if not (contestants.PROGRAMS.exists() and SHIPPED.exists()):
        sys.exit("What is compared is not installed: `make bench PARTS=startup` brings it.")
    configure_logging(parse_levels("warning"), json=False)
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        try:
            found = runner.run(compare(rounds))
        except NoStart as error:
            sys.exit(str(error))
    lock = PROJECT_ROOT / "bench" / "requirements.txt"
    versions = installed("quart", "hypercorn", "uvicorn", "uvloop") | pinned(lock, "fastapi", "litestar", "granian")
    part = Part(PART, series_of(PART, found, MEASURES), versions, {"repeats": str(rounds)})
    keep(part)
    print(shown(part))  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main()
