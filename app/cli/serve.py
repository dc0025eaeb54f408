"""`app serve`: the HTTP server, until it is told to stop."""

from __future__ import annotations

import sys

import click

from app.cli.context import CliContext, pass_context
from app.core.settings import Override


@click.command()
@click.option("--host", help="Address to listen on (server.host).")
@click.option("--port", type=int, help="Port to listen on, 0 for any free one (server.port).")
@pass_context
def serve(context: CliContext, host: str | None, port: int | None) -> None:
    """Serve HTTP until SIGTERM or SIGINT.

    The first signal lets running requests finish within server.shutdown_timeout and exits 0;
    a second one ends the process at once with 130.
    """
    options = {"host": host, "port": port}
    settings = context.load_settings(
        *(Override.of(f"--{name}", f"server.{name}", value) for name, value in options.items() if value is not None)
    )

    from app.bootstrap import FEATURES
    from app.server import run_server

    sys.exit(run_server(settings, features=FEATURES))
