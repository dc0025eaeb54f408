"""Who takes part, and how each is started: with one process, a pool of ten, and on the port that it is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.core.settings import PROJECT_ROOT
from bench.names import (
    ENGINES,
    FASTAPI_ORM,
    FASTAPI_TUNED,
    LITESTAR,
    PLINTH,
    PLINTH_UVICORN,
    RAW,
    STOCK,
)
from tests.harness.settings import SECRETS, make_settings

PROGRAMS = PROJECT_ROOT / ".local" / "bench" / "bin"
PEERS = "bench.http.peers"


@dataclass(frozen=True)
class Place:
    """What a contestant is given: the services, an empty folder, and a port."""

    database_url: str
    redis_url: str
    folder: Path
    port: int


@dataclass(frozen=True)
class Command:
    """How a process is started."""

    arguments: tuple[str, ...]
    environ: dict[str, str]


@dataclass(frozen=True)
class Contestant:
    """`key` is what `ONLY=` calls it; one that is `extra` takes part when it is asked for, or with `ONLY=all`.

    What is `limited` counts every request to `/items` in Redis, or its time is void.
    """

    key: str
    name: str
    command: Callable[[Place], Command]
    extra: bool = False
    limited: bool = False


def plinth(engine: str, *overrides: str) -> Callable[[Place], Command]:
    """As in production: a line of JSON for every request, metrics, and a limit that is counted, and never reached."""

    def command(place: Place) -> Command:
        settings = make_settings(place.folder, database_url=place.database_url, redis_url=place.redis_url)
        usual = {"server.engine": engine, "server.port": str(place.port), "rate_limit.per_minute": "1000000"}
        options = map("=".join, (usual | dict(each.split("=", 1) for each in overrides)).items())
        environ = {**settings.environ, **SECRETS, "APP_ENV": "production", "APP_SERVER__ENGINE": engine}
        arguments = ("-m", "tests.harness.serve", str(place.folder), "bench.http.feature", "--role=serve", *options)
        return Command((sys.executable, *arguments), _environ(**environ))

    return command


def uvicorn(module: str, *options: str) -> Callable[[Place], Command]:
    """With its quickest parts, uvloop and httptools."""
    quick = ("--loop", "uvloop", "--http", "httptools")
    return _peer("uvicorn", f"{PEERS}.{module}:app", *quick, *options, port="--port")


def granian(module: str) -> Callable[[Place], Command]:
    """As it comes: one worker, no access log."""
    options = ("--interface", "asgi", "--loop", "uvloop", "--host", "127.0.0.1")
    return _peer("granian", f"{PEERS}.{module}:app", *options, port="--port")


def hypercorn(module: str) -> Callable[[Place], Command]:
    """As it comes: asyncio's own loop, no access log."""
    return _peer("hypercorn", f"{PEERS}.{module}:app", port="--bind")


def _peer(program: str, *arguments: str, port: str) -> Callable[[Place], Command]:
    def command(place: Place) -> Command:
        where = f"127.0.0.1:{place.port}" if port == "--bind" else str(place.port)
        # `-m`, so that the bench's own packages are found from the project's folder.
        return Command(
            (str(PROGRAMS / "python"), "-m", program, *arguments, port, where), _environ(BENCH_URL=place.database_url)
        )

    return command


def _environ(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **more}


UNLOGGED = "--no-access-log"

CONTESTANTS = (
    Contestant("fastapi", FASTAPI_ORM, uvicorn("fastapi_orm", UNLOGGED)),
    Contestant("litestar", LITESTAR, granian("litestar_alchemy")),
    Contestant("stock", STOCK, hypercorn("quart_databases")),
    Contestant("tuned", FASTAPI_TUNED, uvicorn("fastapi_tuned", UNLOGGED)),
    Contestant("plinth", PLINTH, plinth(ENGINES[PLINTH]), limited=True),
    Contestant("plinth-uvicorn", PLINTH_UVICORN, plinth(ENGINES[PLINTH_UVICORN]), limited=True),
    Contestant("raw", RAW, uvicorn("raw_asgi", UNLOGGED)),
    # What their log costs the others, and what ours costs without a limit, which is how settings come.
    Contestant("fastapi-logged", f"{FASTAPI_ORM}, its log on", uvicorn("fastapi_orm"), extra=True),
    Contestant("tuned-logged", f"{FASTAPI_TUNED}, its log on", uvicorn("fastapi_tuned"), extra=True),
    Contestant(
        "plinth-unlimited",
        f"{PLINTH}, no limit set",
        plinth(ENGINES[PLINTH], "rate_limit.per_minute=0"),
        extra=True,
    ),
    Contestant(
        "plinth-uvicorn-unlimited",
        f"{PLINTH_UVICORN}, no limit set",
        plinth(ENGINES[PLINTH_UVICORN], "rate_limit.per_minute=0"),
        extra=True,
    ),
)


def chosen(only: str) -> list[Contestant]:
    """Those that `plinth,fastapi` names; all but the extra ones where nothing is named. Ends for an unknown one."""
    if only in {"", "all"}:
        return [each for each in CONTESTANTS if only or not each.extra]
    known = {each.key: each for each in CONTESTANTS}
    unknown = [key for key in only.split(",") if key not in known]
    if unknown:
        sys.exit(f"There is no contestant {', '.join(unknown)}; there are {', '.join(known)}, and all.")
    return [known[key] for key in only.split(",")]
