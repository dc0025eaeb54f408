"""`app dev`: the whole stack in one terminal, with PostgreSQL and Redis from wheels."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.core.garbage import collect_nothing
from app.core.settings import PROJECT_ROOT, Settings
from app.core.settings.kinds.redis_url import RedisUrl
from app.core.settings.sections import Database as DatabaseSettings
from app.terminal.context import CliContext, pass_context, server_options

if TYPE_CHECKING:
    from app.core.resources import Resources
    from app.embedded import PostgresServer

DATA = PROJECT_ROOT / ".local"
REDIS_URL = DATA / "redis.url"  # for `app publish` in another terminal: port and password are new with each start


@click.command()
@server_options
@pass_context
def dev(context: CliContext, host: str | None, port: int | None) -> None:
    """Run everything here: a real PostgreSQL 18, a real Redis, migrations, server, worker.

    Needs neither Docker nor root. Ctrl-C stops all of it; the data stays in .local/ until `make clean`.
    """
    settings = context.load_settings(host=host, port=port)
    collect_nothing()

    from app.bootstrap import FEATURES
    from app.server import Role, run_server

    sys.exit(
        run_server(settings, features=FEATURES, role=Role.BOTH, services=embedded_services, on_listening=print_banner)
    )


@asynccontextmanager
async def embedded_services(settings: Settings) -> AsyncIterator[Settings]:
    """Start both services with their data in `.local/`, and yield the settings with their addresses.

    PostgreSQL takes the configured port where that is free, so that `app migrate` in another terminal finds it.
    """
    from app.embedded import EmbeddedError
    from app.server import ServicesFailed

    async with AsyncExitStack() as stack:
        try:
            in_force = await _start(settings, stack)
        except EmbeddedError as error:
            raise ServicesFailed(str(error)) from error
        yield in_force


async def _start(settings: Settings, stack: AsyncExitStack) -> Settings:
    from app.embedded import start_redis

    database = settings.database
    postgres = await start_postgres_near(database, DATA / "postgres")
    stack.push_async_callback(postgres.stop)
    redis = await start_redis(DATA / "redis")
    stack.push_async_callback(redis.stop)
    stack.callback(REDIS_URL.unlink, missing_ok=True)
    REDIS_URL.touch(mode=0o600)
    REDIS_URL.write_text(redis.url)
    return replace(
        settings,
        database=replace(database, host=postgres.host, port=postgres.port),
        redis=replace(settings.redis, url=RedisUrl().from_text(redis.url)),
    )


async def start_postgres_near(database: DatabaseSettings, data_dir: Path) -> PostgresServer:
    """On the configured port; on any free one where another program has that, or takes it at the same moment."""
    from app.embedded import PortTaken, start_postgres

    start = partial(
        start_postgres,
        data_dir,
        user=database.user,
        password=database.password.reveal(),
        database=database.name,
    )
    try:
        return await start(port=database.port)
    except PortTaken:
        return await start(port=0)


async def print_banner(resources: Resources, url: str) -> None:
    """Tell a newcomer what runs and what to type."""
    from app.bootstrap import FEATURES

    settings = resources.settings
    told = [await feature.develop(resources) for feature in FEATURES if feature.develop]
    lines = {
        "Open": url,
        "Docs": f"{url}/docs",
        "Health": f"{url}/health",
        **{label: line for each in told for label, line in each.items()},
        "Try": f"curl -s {url}/health/ready",
        "Push": f"APP_REDIS__URL=$(cat {REDIS_URL.relative_to(PROJECT_ROOT)}) .venv/bin/app publish everyone 1",
        "PostgreSQL": f"{settings.database.host}:{settings.database.port}, password in .local/secrets/",
        "Stop": "Ctrl-C (the data stays in .local/)",
    }
    click.echo(f"\n  {settings.app.name} is running.\n")
    for label, value in lines.items():
        click.echo(f"  {label + ':':<12}{value}")
    click.echo()
