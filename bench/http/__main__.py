"""`python -m bench.http [--repeats 5] [--seconds 5] [--only plinth,fastapi] [--parts live,a,b,c]`.

Each repeat starts everybody, one after the other and every second time the other way around, and lets wrk loose on
each piece of work. Before the first repeat all are asked the same things; one that answers otherwise ends the bench.
Client, servers and PostgreSQL share the machine, so that the ratios are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.core.settings import PROJECT_ROOT
from app.core.telemetry import configure_logging, parse_levels
from app.server.engine import loop_factory
from bench.figures import Part, keep
from bench.http.contestants import PROGRAMS, Contestant, chosen
from bench.http.ground import Ground, open_ground
from bench.http.load import CONNECTIONS, VoidRun, wrk, wrk_version
from bench.http.report import report
from bench.http.server import NoStart, serving
from bench.http.turn import PARTS, measures, valid_turn
from bench.http.verify import Differs, Verification, client_of
from bench.machine import installed, pinned
from bench.measures import Round, progress, series_of, turns
from bench.names import WORK

OURS = ("quart", "hypercorn", "uvicorn", "asyncpg", "databases", "sqlalchemy", "orjson", "msgspec", "uvloop")
THEIRS = ("fastapi", "starlette", "pydantic", "litestar", "advanced-alchemy", "granian", "httptools")


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    repeats: int
    seconds: int
    contestants: Sequence[Contestant]
    parts: Sequence[str]

    @property
    def whole(self) -> bool:
        """Whether the report can be made of it."""
        everybody = {each.key for each in chosen("")}
        return everybody <= {each.key for each in self.contestants} and {*PARTS} <= {*self.parts}


async def compare(options: Options) -> dict[str, list[Round]]:
    """What each repeat has found of each contestant. Raises `Differs`, `NoStart` and `VoidRun`."""
    found: dict[str, list[Round]] = {each.name: [] for each in options.contestants}
    known = {each.name: each for each in options.contestants}
    async with open_ground() as ground:
        for contestant in options.contestants:
            await verify(contestant, ground)
        for number in range(options.repeats):
            for name in turns([*known], number):
                found[name].append(await valid_turn(known[name], ground, options.parts, options.seconds))
                progress(f"repeat {number + 1} of {options.repeats}: {name} {_short(found[name][-1])}")
    return found


async def verify(contestant: Contestant, ground: Ground) -> None:
    async with serving(contestant, ground.place()) as server, client_of(server.url) as client:
        try:
            await Verification(client, ground.database, ground.seeds).run()
        except Differs as difference:
            said = f"{contestant.name} does not do the same work. {difference}\n{server.said()}"
            raise Differs(said) from difference
    progress(f"verified: {contestant.name}")


def _short(found: Mapping[str, float]) -> str:
    return ", ".join(f"{found[work]:,.0f}" for work in WORK if work in found)


def parsed(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.http")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--parts", default=",".join(PARTS))
    given = parser.parse_args(arguments)
    parts = given.parts.split(",") if given.parts else list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return Options(given.repeats, given.seconds, chosen(given.only), parts)


def main(arguments: Sequence[str]) -> None:
    """Print the report, and keep the figures if they are of everybody and of all work."""
    options = parsed(arguments)
    if not (PROGRAMS / "python").exists():
        sys.exit("The others are not installed: `make bench-http` brings them.")
    wrk()
    configure_logging(parse_levels("warning"), json=False)
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        try:
            found = runner.run(compare(options))
        except (Differs, NoStart, VoidRun) as error:
            sys.exit(str(error))
    part = Part(
        "http",
        series_of("http", found, measures()),
        {**pinned(PROJECT_ROOT / "bench" / "requirements.txt", *THEIRS), **installed(*OURS), "wrk": wrk_version()},
        {"seconds": str(options.seconds), "connections": str(CONNECTIONS), "repeats": str(options.repeats)},
    )
    if options.whole:
        keep(part)
    print(report(part))  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main(sys.argv[1:])
