"""`app serve`: the HTTP server, until it is told to stop."""

from __future__ import annotations

import sys

import click

from app.core.garbage import collect_nothing
from app.terminal.context import CliContext, pass_context, server_options


@click.command()
@server_options
@pass_context
def serve(context: CliContext, host: str | None, port: int | None) -> None:
    """Serve HTTP until SIGTERM or SIGINT.

    The first signal lets running requests finish within server.shutdown_timeout and exits 0;
    a second one ends the process at once with 130.
    """
    settings = context.load_settings(host=host, port=port)
    collect_nothing()

    from app.bootstrap import FEATURES
    from app.server import run_server

    sys.exit(run_server(settings, features=FEATURES))
