"""`app openapi`: the description of the API for programs, without opening anything."""

from __future__ import annotations

import json
from pathlib import Path

import click

from app.terminal.context import CliContext, pass_context


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file instead of the terminal."
)
@pass_context
def openapi(context: CliContext, output: Path | None) -> None:
    """Print the OpenAPI 3.1 document of every address, as /openapi.json has it.

    No service has to run for it.
    """
    settings = context.load_settings()

    from app.cli import make_application
    from app.web.openapi import openapi_document

    document = openapi_document(make_application(settings), settings)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    output.write_text(f"{text}\n", "utf-8")
    click.echo(f"{output} is written.", err=True)
