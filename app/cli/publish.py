"""`app publish`: push from a shell to whoever listens, on every instance."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import replace

import click

from app.core.exit_codes import ExitCode
from app.core.settings import Settings
from app.terminal.context import CliContext, pass_context

PATIENCE = 2.0  # seconds; a person waits for longer than a request can


@click.command()
@click.argument("topic")
@click.argument("data", metavar="JSON")
@pass_context
def publish(context: CliContext, topic: str, data: str) -> None:
    """Push JSON to everybody who listens to TOPIC, whatever instance they are connected to.

    \b
    app publish everyone '{"notice": "Back in a minute"}'
    app publish user:0197a1c2-... '{"unread": 3}'
    app publish orders:42 - < order.json

    It needs Redis and nothing else. Exits 3 where Redis does not take it; nothing is kept for later then.
    """  # noqa: D301  (the escape is click's mark for lines to be left as they are)
    from app.core.json import NotJson, loads
    from app.core.telemetry import ROOT, configure_logging, secrets_of

    try:
        value = loads(sys.stdin.buffer.read() if data == "-" else data.encode(errors="surrogateescape"))
    except NotJson as error:
        raise click.BadParameter(f"this is not JSON: {error}. Put text in quotes twice: '\"Hello\"'.") from error
    settings = context.load_settings()
    configure_logging({ROOT: logging.CRITICAL}, json=settings.log.json, secrets=secrets_of(settings))
    try:
        taken = asyncio.run(_push(settings, topic, value))
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    if not taken:
        click.echo("Redis does not answer: nothing was pushed (see `app doctor`).", err=True)
        sys.exit(ExitCode.SERVICE_UNAVAILABLE)
    click.echo(f"Pushed to whoever listens to {topic}.")


async def _push(settings: Settings, topic: str, value: object) -> bool:
    from app.core.realtime import Publisher
    from app.core.redis import open_redis

    patient = replace(settings.redis, timeout=max(settings.redis.timeout, PATIENCE))
    async with open_redis(patient) as redis:
        return await Publisher(redis).publish(topic, value)
