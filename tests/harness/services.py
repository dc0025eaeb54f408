"""Which PostgreSQL and Redis a run uses, and where they come from: given, in containers, or embedded."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import pytest

from app.embedded import start_postgres, start_redis
from tests.harness.engine import Engine
from tests.harness.leftovers import service_folder

PASSWORD = "made-up-for-tests"


class Way(StrEnum):
    """The three ways; the words are those of PLINTH_TEST_SERVICES."""

    URLS = "urls"
    CONTAINERS = "containers"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Choice:
    """Where the services come from, and why, for the run's header."""

    way: Way
    why: str


@dataclass(frozen=True)
class Addresses:
    """Both URLs belong to a user who may create databases."""

    postgres: str
    redis: str


def choose(environ: Mapping[str, str], engine: Engine) -> Choice:
    """Given addresses first, then containers, then what the wheels bring; PLINTH_TEST_SERVICES decides over all."""
    wanted = environ.get("PLINTH_TEST_SERVICES", "")
    if wanted:
        return _as_told(wanted, environ, engine)
    if environ.get("TEST_DATABASE_URL") or environ.get("TEST_REDIS_URL"):
        _both_addresses(environ)
        return Choice(Way.URLS, "TEST_DATABASE_URL and TEST_REDIS_URL are set")
    if reason := engine.why_no_containers():
        if engine.required:
            raise pytest.UsageError(f"PLINTH_REQUIRE_DOCKER=1, but tests cannot use containers: {reason}")
        return Choice(Way.EMBEDDED, reason)
    return Choice(Way.CONTAINERS, f"a Docker engine answers at {engine.address}")


def _as_told(wanted: str, environ: Mapping[str, str], engine: Engine) -> Choice:
    if wanted not in tuple(Way):
        raise pytest.UsageError(f"PLINTH_TEST_SERVICES={wanted}: expected one of {', '.join(Way)}")
    way = Way(wanted)
    if way is Way.URLS:
        _both_addresses(environ)
    if way is Way.CONTAINERS and (reason := engine.why_no_containers()):
        raise pytest.UsageError(f"PLINTH_TEST_SERVICES=containers, but: {reason}")
    return Choice(way, f"PLINTH_TEST_SERVICES={way}")


def _both_addresses(environ: Mapping[str, str]) -> Addresses:
    missing = [name for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL") if not environ.get(name)]
    if missing:
        raise pytest.UsageError(f"{' and '.join(missing)} must be set too: tests need both services")
    return Addresses(environ["TEST_DATABASE_URL"], environ["TEST_REDIS_URL"])


@asynccontextmanager
async def open_services(way: Way, run_id: str) -> AsyncIterator[Addresses]:
    """The services, running, for as long as the block lasts."""
    if way is Way.URLS:
        yield _both_addresses(os.environ)
    elif way is Way.CONTAINERS:
        # Its import costs a third of a second, which a run without containers need not pay.
        from tests.harness.containers import open_containers  # noqa: PLC0415

        async with open_containers(run_id) as addresses:
            yield addresses
    else:
        async with _embedded(run_id) as addresses:
            yield addresses


@asynccontextmanager
async def _embedded(run_id: str) -> AsyncIterator[Addresses]:
    with service_folder(run_id) as folder:
        async with AsyncExitStack() as running:
            start = start_postgres(
                folder / "postgres", user="plinth", password=PASSWORD, database="plinth", durable=False
            )
            postgres = await running.enter_async_context(await start)
            redis = await running.enter_async_context(await start_redis(folder / "redis", durable=False))
            yield Addresses(postgres.url, redis.url)
