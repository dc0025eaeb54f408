"""A feature with a command of its own, which needs what use cases need."""

from __future__ import annotations

from collections.abc import Mapping

import click

from app.core.errors import Conflict
from app.core.resources import Resources
from app.feature import Feature
from app.terminal.context import CliContext, pass_context
from app.terminal.operating import on_resources


class TooQuiet(Conflict):
    """Say it louder."""


@click.command()
@click.argument("text")
@pass_context
def shout(context: CliContext, text: str) -> None:
    """Have PostgreSQL say it in capitals."""

    async def work(resources: Resources) -> str:
        if text.startswith("..."):
            raise TooQuiet
        return str(await resources.database.fetch_val("SELECT upper(:text)", {"text": text}))

    click.echo(on_resources(context, work, about=text if "?" in text else None))


async def develop(resources: Resources) -> Mapping[str, str]:
    """What a newcomer is told of it."""
    return {"Shout": f"app shout hello, on {await resources.database.fetch_val('SELECT current_database()')}"}


feature = Feature("shouting", commands={"shout": "tests.cli.shout:shout"}, develop=develop)
