"""`app worker`: tasks, events and schedules, until it is told to stop."""

from __future__ import annotations

import sys

import click

from app.core.garbage import collect_nothing
from app.terminal.context import CliContext, pass_context, worker_options


@click.command()
@worker_options
@pass_context
def worker(context: CliContext, host: str | None, port: int | None) -> None:
    """Do what was asked for: tasks, events and schedules, until SIGTERM or SIGINT.

    Start as many as there is work; they share it. Each tells its health and metrics at worker.port,
    and answers nothing else.

    The first signal takes nothing new, lets running tasks finish within worker.shutdown_timeout,
    gives the others back and exits 0; a second one ends the process at once with 130.
    """
    settings = context.load_settings(port_of="worker", host=host, port=port)
    collect_nothing()

    from app.bootstrap import FEATURES
    from app.server import Role, run_server

    sys.exit(run_server(settings, features=FEATURES, role=Role.WORK))
